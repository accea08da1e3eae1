// What is tried out goes to where this page came from, whichever name that has here: the page may call nobody else.
const here = {
  statePlugins: {
    spec: {
      wrapActions: {
        updateJsonSpec: (update) => (spec) =>
          update({ ...spec, servers: [{ url: new URL(".", location.href).href.replace(/\/$/, "") }] }),
      },
    },
  },
};

SwaggerUIBundle({
  url: "openapi.yaml",
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // the contract is shown to nobody else
  plugins: [() => here],
});
