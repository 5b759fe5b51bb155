# A small image that runs workflows as nobody in particular. Runs are kept in /runs: mount something there that stays.
#
#   docker build -t arazzo-machine .
#   docker run --rm -v runs:/runs -e HF_TOKEN arazzo-machine run deploy-inference-endpoint --id demo ...

FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY machine machine
COPY workflows workflows
RUN python -m venv /opt/arazzo-machine \
 && /opt/arazzo-machine/bin/pip install --no-cache-dir --disable-pip-version-check '.[crypto,xml]'

FROM python:3.13-slim
COPY --from=build /opt/arazzo-machine /opt/arazzo-machine
# A number, so that Kubernetes can see that it is not root. The group is 0, as clusters with numbers of their own want it.
RUN install -d -m 0770 -o 10001 -g 0 /runs
ENV PATH=/opt/arazzo-machine/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ARAZZO_MACHINE_STORE=/runs/runs.db
USER 10001:0
VOLUME /runs
WORKDIR /runs
# The first process of the container hears SIGTERM, ends a waiting run within a second, and it can be resumed.
ENTRYPOINT ["arazzo-machine"]
CMD ["--help"]
