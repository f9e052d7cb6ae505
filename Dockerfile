# Image of the operator. The base is any Linux with Python 3.11 or newer and pip, the same in both stages.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
# A virtual environment without pip: what the operator needs at run time and nothing else.
RUN ["python3", "-m", "venv", "--without-pip", "/opt/trainpush"]
WORKDIR /source
# What changes seldom comes first, so that a build after a change of the operator does not fetch it again.
COPY pyproject.toml ./
RUN ["python3", "-c", "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], \
     sep='\\n', file=open('requirements.txt', 'w'))"]
RUN ["python3", "-m", "pip", "--python", "/opt/trainpush/bin/python3", "install", "--no-cache-dir", \
     "-r", "requirements.txt"]
COPY README.md LICENSE ./
COPY operator operator
RUN ["python3", "-m", "pip", "--python", "/opt/trainpush/bin/python3", "install", "--no-cache-dir", "--no-deps", "."]

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
