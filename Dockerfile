# One image for all roles; docker/entrypoint.sh chooses. Deno comes from npm, as everywhere in this project.
FROM node:20-bookworm-slim

RUN npm install --global deno@2.9.6 && npm cache clean --force

ENV DENO_DIR=/deno DENO_NO_UPDATE_CHECK=1 NO_COLOR=1
WORKDIR /app

COPY . .
# All packages are loaded here. The entry point runs with --cached-only, so none can be loaded later.
RUN deno install --frozen \
  && mkdir -p /data \
  && chown -R node:node /data /deno

USER node
ENV HOST=0.0.0.0 PORT=8000 DATA_DIR=/data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["/app/docker/entrypoint.sh"]
CMD ["server"]
