# One image for all roles and tasks; docker/entrypoint.sh chooses. Deno comes from npm, as everywhere in this project, and
# is all that is taken from the first stage: the image has neither Node nor npm.
FROM node:26.10.0-trixie-slim AS deno
RUN npm install --global deno@2.9.6 \
  && cp "$(deno eval --no-config 'console.log(Deno.execPath())')" /deno

FROM debian:13.7-slim
COPY --from=deno /deno /usr/local/bin/deno

ENV DENO_DIR=/deno DENO_NO_UPDATE_CHECK=1 NO_COLOR=1
WORKDIR /app

# All packages are loaded here. The entry point runs with --cached-only, so none can be loaded later.
COPY deno.json deno.lock ./
RUN deno install --frozen

# Program and packages belong to root: the process can write to /data and /tmp only.
COPY . .
RUN chmod -R a+rX /app \
  && useradd --uid 1000 --no-create-home --home-dir /data --shell /usr/sbin/nologin rookery \
  && mkdir /data \
  && chown rookery:rookery /data

USER 1000:1000
ENV HOST=0.0.0.0 PORT=8000 DATA_DIR=/data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --start-interval=2s CMD ["/app/docker/healthcheck.sh"]
ENTRYPOINT ["/app/docker/entrypoint.sh"]
CMD ["server"]
