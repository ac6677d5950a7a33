# Unverified: no container engine has built this yet.
#
#   docker build -t aimass-stream .                        on the CPU
#   docker build -t aimass-stream --build-arg GPU=1 .      with torch and its CUDA libraries (run with --gpus all)

ARG PYTHON=3.11-slim-bookworm

# models in npm packages; what MediaPipe runs in browsers with is left out
FROM node:22-slim AS models
WORKDIR /web
COPY web/package.json web/package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && rm -f node_modules/@mediapipe/*/*.wasm

FROM python:${PYTHON} AS build
ARG GPU=0
WORKDIR /src
RUN pip install --no-cache-dir uv && python -m venv /app
# first what changes seldom, so that a change of our own code does not install everything again
COPY pyproject.toml constraints.txt ./
RUN if [ "$GPU" = 1 ]; then extra="--extra torch"; fi; \
    uv pip install --python /app/bin/python --no-cache --constraint constraints.txt \
        --requirement pyproject.toml ${extra:-}
COPY . .
RUN uv pip install --python /app/bin/python --no-cache --no-deps .
COPY --from=models /web/node_modules /models
RUN mv /models "$(/app/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/aimass_stream/node_modules"

FROM python:${PYTHON}
# what OpenCV's wheel expects of the system
RUN apt-get update && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --home-dir /data aimass \
    && install --directory --owner aimass --mode 700 /data
COPY --from=build /app /app
COPY deploy/healthcheck.py /app/healthcheck.py
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 AIMASS_HOST=0.0.0.0 AIMASS_PORT=8000 AIMASS_DATA_DIR=/data
USER aimass
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["python", "/app/healthcheck.py"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["aimass"]
CMD ["serve"]
