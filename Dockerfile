# Trackside: one static binary in an otherwise empty image. Build with: make image
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG VERSION=dev TARGETOS TARGETARCH
ENV CGO_ENABLED=0 GOFLAGS=-buildvcs=false
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The browser bundle is not committed: it comes out of a Go module, and its hash is checked.
RUN go generate ./static
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/trackside ./cmd/trackside
RUN mkdir -p /out/data /out/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/trackside /trackside
COPY LICENSE NOTICE /
# A new volume takes the owner of the folder it is mounted over.
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/tmp /tmp
ENV TRACKSIDE_DATA=/data/trackside.db
USER 65532:65532
VOLUME /data
EXPOSE 8080 9090
ENTRYPOINT ["/trackside"]
CMD ["serve"]
