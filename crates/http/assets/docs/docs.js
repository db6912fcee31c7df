// The page at /docs: Swagger UI over the hub's own description.

const dark = matchMedia('(prefers-color-scheme: dark)');
const dress = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', dress);
dress();

window.SwaggerUIBundle({
  url: new URL('openapi.json', location.href).href,
  domNode: document.getElementById('swagger-ui'),
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  // Swagger UI's public validator must not be told of this hub.
  validatorUrl: null,
});
