# syntax=docker/dockerfile:1
# The dashboard with its GPU back end. PyPI's torch brings its own CUDA libraries, so no CUDA base image is needed:
# the host only needs the NVIDIA driver and container toolkit.
#   docker build -t saliency-compare .
#   docker run --gpus all -p 8501:8501 -v saliency-data:/data saliency-compare
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/venv
RUN pip install --no-cache-dir uv==0.13.9 && uv venv /opt/venv
# The lock replaces grad-cam's OpenCV, which needs a display, by the headless one.
RUN --mount=type=cache,target=/root/.cache/uv --mount=type=bind,source=requirements.txt,target=/tmp/requirements.txt \
    uv pip sync /tmp/requirements.txt

FROM ${BASE} AS run
RUN useradd --create-home --uid 10001 app && install -d -o app -g app /data
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 XAI_DATA=/data TORCH_HOME=/data/torch \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /app
COPY --chown=app:app . .
USER 10001
RUN python -c "from xai_core.scores.imputation import compile_solver; compile_solver()"
EXPOSE 8501
VOLUME /data
# Unknown health paths answer 200 with a page, so the body is compared.
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python3", "-c", "import urllib.request as u; assert u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4).read() == b'ok'"]
CMD ["streamlit", "run", "app.py", "--server.address=0.0.0.0", "--server.port=8501"]
