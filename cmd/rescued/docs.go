package main

import (
	"encoding/json"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/swaggest/swgui/v5/static"
	"github.com/vearutop/statigz"

	"rescued/dispatch"
	"rescued/events"
	"rescued/internal/web"
	"rescued/sla"
)

// openAPIDocument is made from the wiring alone: no database, no broker.
func openAPIDocument() ([]byte, error) {
	s := &system{
		dispatch: dispatch.New(nil, dispatch.Config{Now: wallClock().Now}),
		sla:      sla.New(nil, sla.Config{Now: wallClock().Now}),
	}
	s.api = dispatch.NewAPI(s.dispatch, dispatch.APIConfig{})
	api := web.NewAPI(chi.NewRouter(), apiTitle, apiVersion)
	s.operations(api)
	return json.MarshalIndent(api.OpenAPI(), "", "  ")
}

const (
	apiTitle   = "rescued"
	apiVersion = "1" // of the HTTP API, as in /v1; not the program's
)

// asyncAPIDocument describes the topics, the intake topic included.
func asyncAPIDocument() ([]byte, error) {
	return events.AsyncAPI(dispatch.IntakeMessage())
}

// docsPage shows the OpenAPI document. It asks no other host for anything, and
// no outside validator.
const docsPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>rescued API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<main>
<h1 style="font: 600 20px system-ui; margin: 1rem 1.5rem 0">rescued API</h1>
<p style="font: 16px system-ui; margin: .5rem 1.5rem 0">
<a href="/openapi.json">OpenAPI 3.1</a> · <a href="/asyncapi.json">AsyncAPI 3</a> (Kafka topics)
</p>
<div id="docs"></div>
</main>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`

const docsScript = `SwaggerUIBundle({
  url: '/openapi.json', dom_id: '#docs', deepLinking: true, validatorUrl: null,
  docExpansion: 'none', tagsSorter: 'alpha', supportedSubmitMethods: ['get', 'post', 'patch', 'delete'],
});
`

// docsPolicy lets Swagger UI, and nothing else, set styles of its own.
const docsPolicy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"

// mountDocs adds /docs and the documents it shows.
func mountDocs(r chi.Router) {
	serve := func(contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Content-Security-Policy", docsPolicy)
			_, _ = w.Write([]byte(body))
		}
	}
	files := http.StripPrefix("/docs/", statigz.FileServer(static.FS))
	r.Get("/docs", serve("text/html; charset=utf-8", docsPage))
	r.Get("/docs/start.js", serve("text/javascript; charset=utf-8", docsScript))
	r.Get("/docs/*", files.ServeHTTP)
	r.Get("/asyncapi.json", func(w http.ResponseWriter, r *http.Request) {
		doc, err := asyncAPIDocument()
		if err != nil {
			web.Problem(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(doc)
	})
}
