package events

import (
	"embed"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"strings"
	"sync"
)

// The payloads' own source is embedded, so that the AsyncAPI document says of
// a type and its fields what their comments say, and nobody writes it twice.
//
//go:embed types*.go
var typesSource embed.FS

// docs are the comments of the payload types by name, and of their fields by
// Type.Field; read once, when a document is first asked for.
var docs = sync.OnceValues(func() (types, fields map[string]string) {
	types, fields = map[string]string{}, map[string]string{}
	files, err := fs.Glob(typesSource, "types*.go")
	if err != nil {
		panic("events: " + err.Error()) // the pattern is well formed
	}
	for _, name := range files {
		source, err := fs.ReadFile(typesSource, name)
		if err != nil {
			panic("events: the embedded " + name + " cannot be read: " + err.Error())
		}
		t, f := readDocs(name, source)
		maps.Copy(types, t)
		maps.Copy(fields, f)
	}
	return types, fields
})

func readDocs(name string, source []byte) (types, fields map[string]string) {
	types, fields = map[string]string{}, map[string]string{}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments)
	if err != nil {
		panic("events: the embedded " + name + " cannot be parsed: " + err.Error())
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
