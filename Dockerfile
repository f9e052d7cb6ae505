# Image of the operator. The base is any Linux with Python 3.11 or newer and pip, the same in both stages.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
RUN ["python3", "-m", "pip", "wheel", "--no-cache-dir", "--wheel-dir", "/wheels", "."]
# A virtual environment without pip: what the operator needs at run time and nothing else.
RUN ["python3", "-m", "venv", "--without-pip", "/opt/trainpush"]
RUN ["python3", "-m", "pip", "--python", "/opt/trainpush/bin/python3", "install", "--no-cache-dir", \
     "--no-index", "--find-links", "/wheels", "trainpush"]

FROM ${BASE}
COPY --from=build /opt/trainpush /opt/trainpush
# Safe path: no module is ever taken from the working directory.
ENV PATH=/opt/trainpush/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /
# A number, so that a pod with runAsNonRoot can be checked before it starts.
USER 65532:65532
ENTRYPOINT ["trainpush"]
CMD ["run"]
