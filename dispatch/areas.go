package dispatch

import (
	"time"

	"rescued/geo"
)

// AreaMode says what an imported file does to the cover.
type AreaMode string

// The modes.
const (
	AreaReplace AreaMode = "replace" // it becomes the cover
	AreaAdd     AreaMode = "add"     // it extends the cover
)

// AreaFile is a file of covered places to import: a CSV of centres or GeoJSON
// polygons, as geo.ParseAreas reads them.
type AreaFile struct {
	Name string
	Mode AreaMode
	File []byte
}

// AreaSet is one imported file that is part of the cover.
type AreaSet struct {
	Version    int64     `json:"version"`
	Mode       AreaMode  `json:"mode"`
	Name       string    `json:"name"`
	Digest     string    `json:"digest"` // SHA-256 of the file, in hex
	Places     int       `json:"places"`
	ImportedAt time.Time `json:"imported_at"`
	ImportedBy string    `json:"imported_by"`
}

// Cover is the covered areas in force, made of one file or several. It is
// safe for concurrent use.
type Cover struct {
	version int64        // of the latest import; 0 is the default cover
	sets    []*geo.Areas // the latest import first
}
