/** Shows /openapi.json with the Swagger UI that lies beside it; nothing comes from another host. */
window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#documentation",
  deepLinking: true,
  validatorUrl: null,
});
