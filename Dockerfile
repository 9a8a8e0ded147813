# repermit in a small image: its own user, nothing writable but /data and /tmp.
# docs/how-to/docker.md says how to use it; compose.yaml runs it behind Caddy.
FROM python:3.13-slim AS build
WORKDIR /source
RUN pip install --no-cache-dir build
COPY pyproject.toml README.md LICENSE config.example.toml constraints.txt ./
COPY repermit repermit
COPY templates templates
COPY static static
COPY docs docs
RUN python -m build --wheel --outdir /wheels && cp constraints.txt /wheels/

FROM python:3.13-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-compile --require-hashes -r /wheels/constraints.txt \
    && pip install --no-cache-dir --no-compile --no-deps /wheels/repermit-*.whl \
    && python -m compileall -q "$(python -c 'import repermit; print(repermit.__path__[0])')" \
    && useradd --uid 10001 --create-home --home-dir /data --shell /usr/sbin/nologin repermit
USER repermit
# config.toml with its keys, the database, the journal of who has left.
WORKDIR /data
VOLUME /data
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
# A mail on the wire is finished before the process ends; see stop_grace_period in compose.yaml.
STOPSIGNAL SIGTERM
ENTRYPOINT ["repermit"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
