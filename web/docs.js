// Started from a file of its own, because the page's policy allows no script inside the page.
globalThis.SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
