"""How versions of models do: requests and latency, inputs that become others, what people say of answers, alerts."""
