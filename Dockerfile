# This command compiles Sluice in a container and builds the image:
#
#   docker build --build-arg VERSION=v1.2.3 -t sluice .
#
# On a machine that cannot pull the base image, use `make image`. It compiles outside of a container, and then builds the
# last stage of this file with the result.

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
# The first folder has the binary and the CA certificates, the second has /tmp and /data, which the server may write to.
COPY --from=build /src/bin/image/root/ /
COPY --from=build --chown=65532:65532 /src/bin/image/writable/ /
# The server must listen on all addresses, since clients are outside of the container.
ENV SLUICE_LISTEN=0.0.0.0:8080

# By default, the server stores everything in ./data, so the volume is /data.
WORKDIR /
VOLUME /data
EXPOSE 8080
# 65532 is the user "nonroot" by convention. With a number, Kubernetes' runAsNonRoot can verify that it is not root.
USER 65532:65532
# The health check asks for readiness, for containers that start after this one. A supervisor that restarts containers
# should ask /healthz instead: restarting Sluice does not help while SpiceDB is down.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["/sluice", "health"]
ENTRYPOINT ["/sluice"]
CMD ["serve"]
