# tieback for a ClickHouse server (see docker-compose.yml). The image holds no
# embedded engine: --clickhouse must be given.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /out/tieback ./cmd/tieback

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/tieback --create-home tieback
COPY --from=build /out/tieback /usr/local/bin/tieback
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
ENV TIEBACK_DATA=/var/lib/tieback TIEBACK_LISTEN=:8080
VOLUME /var/lib/tieback
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD curl --fail --silent http://127.0.0.1:8080/readyz
ENTRYPOINT ["tieback"]
CMD ["serve"]
