# One image for api, worker and migrate: the argument says which (`docker run powernode api`).
FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt

COPY . .
RUN python -m compileall -q . && mkdir /files && chown 10001:10001 /files

# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 8000
ENTRYPOINT ["python", "/app/cli.py"]
CMD ["api"]
