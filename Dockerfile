# The ingestion service, as a static program in an image that has nothing else: no shell, no root, no files to write.
# `docker compose --profile app up --build` builds and starts it; BuildKit and the older builder both do.
FROM rust:1.95-slim-trixie AS source
WORKDIR /src
COPY . .
# What decides how the dependencies are built, and is the same after an edit of the source.
RUN mkdir /skeleton \
    && find . \( -name 'Cargo.*' -o -name build.rs -o -path '*/src/lib.rs' -o -path '*/src/main.rs' -o -path '*/benches/*.rs' \) \
        -exec cp --parents --target-directory /skeleton '{}' + \
    && find /skeleton -name '*.rs' -exec sh -c 'echo "#![allow(warnings)] fn main() { }" | tee "$@" > /dev/null' sh '{}' +

FROM rust:1.95-slim-trixie AS build
WORKDIR /src
# The program is linked statically, which needs a target that is named: what runs during the build is not.
ENV CARGO_TARGET_DIR=/target CARGO_PROFILE_RELEASE_STRIP=symbols RUSTFLAGS="-C target-feature=+crt-static"
RUN rustc -vV | sed -n 's/^host: //p' > /host
COPY --from=source /skeleton .
RUN cargo build --release --locked --package app --target "$(cat /host)"
COPY --from=source /src .
# `docker build --build-arg TOUCHMARK_COMMIT="$(git describe --always --dirty)"`, for there is no repository here.
ARG TOUCHMARK_COMMIT
# Cargo goes by times, and those of the checkout are older than what was built above.
RUN find . -name '*.rs' -exec touch '{}' + \
    && cargo build --release --locked --package app --target "$(cat /host)" \
    && mv /target/*/release/app /app && rm -r /target

FROM scratch
COPY --from=build /app /usr/local/bin/app
USER 65532:65532
ENV LISTEN_ADDRESS=0.0.0.0:8000
EXPOSE 8000
STOPSIGNAL SIGTERM
# While it waits for another replica that migrates, for up to 10 minutes, it is starting and not unhealthy.
HEALTHCHECK --start-period=10m --interval=5s --timeout=5s --retries=3 CMD ["app", "healthcheck"]
ENTRYPOINT ["app"]
CMD ["serve"]
