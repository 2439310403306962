package events

import (
	_ "embed"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"sync"
)

// The payloads' own source is embedded, so that the AsyncAPI document says of
// a type and its fields what their comments say, and nobody writes it twice.
//
//go:embed types.go
var typesSource string

// docs are the comments of the payload types by name, and of their fields by
// Type.Field; read once, when a document is first asked for.
var docs = sync.OnceValues(func() (types, fields map[string]string) { return readDocs(typesSource) })

func readDocs(source string) (types, fields map[string]string) {
	types, fields = map[string]string{}, map[string]string{}
	file, err := parser.ParseFile(token.NewFileSet(), "types.go", source, parser.ParseComments)
	if err != nil {
		panic("events: the embedded types.go cannot be parsed: " + err.Error())
	}
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.TYPE {
			continue
		}
		for _, spec := range gen.Specs {
			t := spec.(*ast.TypeSpec)
			types[t.Name.Name] = sentence(gen.Doc)
			s, ok := t.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, f := range s.Fields.List {
				for _, name := range f.Names {
					fields[t.Name.Name+"."+name.Name] = sentence(f.Comment)
				}
			}
		}
	}
	return types, fields
}

func sentence(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }
