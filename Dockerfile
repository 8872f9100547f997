# syntax=docker/dockerfile:1
# The web pages, then the binary with them inside, then an image with little else.

FROM node:22-bookworm-slim AS dashboard
WORKDIR /src
COPY dashboard/package.json dashboard/package-lock.json dashboard/.npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY dashboard ./
RUN npm run build

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
COPY --from=dashboard /src/dist dashboard/dist
RUN cargo build --locked --profile dist --features dashboard

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/marchproxy --create-home marchproxy
COPY --from=build /src/target/dist/marchproxy /usr/local/bin/marchproxy
# By this name it takes the flags of the first xDS server.
RUN ln -s marchproxy /usr/local/bin/xds-server
USER marchproxy
# In a container, loopback is nobody else's: it is the network that is kept apart.
ENV HOST=0.0.0.0 XDS_HOST=0.0.0.0 XDS_HTTP_HOST=0.0.0.0 DATA_DIR=/var/lib/marchproxy
VOLUME /var/lib/marchproxy
# 19000 says how the server is doing, and without XDS_HTTP_TOKEN nothing else.
EXPOSE 8000 18000 19000
HEALTHCHECK --interval=10s --timeout=5s CMD ["marchproxy", "healthcheck"]
ENTRYPOINT ["marchproxy"]
CMD ["serve"]
