"""tritonclient over HTTP, unmodified: health, metadata, inference in JSON and in binary, statistics, the repository.

    python triton_http.py HOST:PORT KEY
"""

import sys

import numpy as np
import tritonclient.http as triton
from common import tell
from tritonclient.utils import InferenceServerException

URL, KEY = sys.argv[1:]
MODEL = "sign-digits"
POINTS = np.random.default_rng(1).normal(size=(3, 42)).astype(np.float32)


def key():
    """Anew for each call: the client writes into the headers that it is given."""
    return {"Authorization": f"Bearer {KEY}"}


def asked(binary, points=POINTS, kind="FP32"):
    """Inputs and outputs of an inference request."""
    given = triton.InferInput("points", list(points.shape), kind)
    given.set_data_from_numpy(points, binary_data=binary)
    return [given], [triton.InferRequestedOutput("chances", binary_data=binary)]


def refused(*arguments, **named):
    """What a request that is wrong is answered."""
    try:
        client.infer(*arguments, headers=key(), **named)
    except InferenceServerException as error:
        return [error.status(), error.message()]
    return None


client = triton.InferenceServerClient(URL, concurrency=4)
tell(name="health", live=client.is_server_live(), ready=client.is_server_ready(),
     model=client.is_model_ready(MODEL, headers=key()), nothing=client.is_model_ready("nothing", headers=key()))
server = client.get_server_metadata(headers=key())
model = client.get_model_metadata(MODEL, headers=key())
tell(name="metadata", server=server["name"], extensions=server["extensions"], inputs=model["inputs"])

answers = {}
for binary in (True, False):
    inputs, outputs = asked(binary)
    result = client.infer(MODEL, inputs, outputs=outputs, request_id="7", headers=key())
    answers[binary] = result.as_numpy("chances")
    response = result.get_response()
    tell(name="binary" if binary else "json", id=response["id"], version=response["model_version"],
         shape=list(answers[binary].shape), sums=answers[binary].sum(axis=1).tolist(),
         raw="binary_data_size" in response["outputs"][0].get("parameters", {}))
waiting = [client.async_infer(MODEL, asked(True)[0], headers=key()) for _ in range(8)]
tell(name="same", ways=float(np.abs(answers[True] - answers[False]).max()),
     beside=[bool((each.get_result().as_numpy("chances") == answers[True]).all()) for each in waiting])
tell(name="refused", nothing=refused("nothing", *asked(True)[:1]), shape=refused(MODEL, asked(True, POINTS[:, :5])[0]),
     kind=refused(MODEL, asked(True, POINTS.astype(np.float64), "FP64")[0]))

statistics = client.get_inference_statistics(MODEL, headers=key())["model_stats"][0]
tell(name="statistics", count=statistics["inference_stats"]["success"]["count"], rows=statistics["inference_count"])
states = {each["name"]: each["state"] for each in client.get_model_repository_index(headers=key())}
client.unload_model(MODEL, headers=key())
away = client.is_model_ready(MODEL, headers=key())
client.load_model(MODEL, headers=key())
tell(name="repository", state=states[MODEL], away=away, back=client.is_model_ready(MODEL, headers=key()))
client.close()
