# docker build --build-arg VERSION=v1.2.3 -t sluice .
#
# compiles in a container. Where no base image can be had, `make image` compiles outside, and builds the last stage
# below, word for word, around what it compiled.

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN make layout VERSION="${VERSION}"

FROM scratch AS image
ARG VERSION=dev
LABEL org.opencontainers.image.title="Sluice" \
      org.opencontainers.image.description="Authorization server for data-integration products, on SpiceDB" \
      org.opencontainers.image.source="https://github.com/sluice-authz/sluice" \
      org.opencontainers.image.version="${VERSION}"
# The binary and the CA certificates; then /tmp and /data, which the server may write to.
COPY --from=build /src/bin/image/root/ /
COPY --from=build --chown=65532:65532 /src/bin/image/writable/ /
# A container's own loopback is of no use to its callers.
ENV SLUICE_LISTEN=0.0.0.0:8080

# The server keeps everything in ./data, unless it is told otherwise.
WORKDIR /
VOLUME /data
EXPOSE 8080
# 65532 is "nonroot" by convention. A number, so that Kubernetes' runAsNonRoot can see that it is not root.
USER 65532:65532
# Readiness, for whoever waits for it. What restarts a container had better ask /healthz: a SpiceDB that is down is
# no reason to restart Sluice.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["/sluice", "health"]
ENTRYPOINT ["/sluice"]
CMD ["serve"]
