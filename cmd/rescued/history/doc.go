// Package history reads past rescues out of files of other systems, and out
// of the runs of the simulator, for the service to bring in.
//
// # The general file
//
// CSV in UTF-8 with a heading, gzipped or not; the columns in any order.
//
//	reference       what the other system calls the rescue; unique      required
//	called_at       when the request was accepted                       required
//	lat, lng, datum where, and in which datum (wgs84, gcj02, bd09); the area is the one that covers it
//	area, tier      the area by its identifier, and urban or county, instead of a position
//	problem         what was wrong, in this service's words; other by default
//	kind            what was wrong, in the other system's own words
//	road_class      urban (default), rural or motorway
//	priority        0 danger to life, 1 exposed, 2 normal (default)
//	product         what the owner had bought
//	price_fen       what the rescue cost, in fen
//	partner         ptn_…
//	provider        prv_…, or the other system's word
//	crew            the other system's word for who came
//	assigned_at, departed_at, arrived_at, freed_at, cancelled_at
//	expected_at     when the crew was expected, as it took the job; without it nobody
//	                can tell whether its drive took too long
//	arrival_source  what proves the arrival: gps, code, owner, tap or operator
//	policy          name/version, for a rescue promised under another than the import's
//	plate           or vehicle: whose car, for limits per car and month; kept as a keyed digest, never as it is
//
// # The simulator's file
//
// RUNS.csv as `rescued replay --out` writes it, with the demand file it was
// made from for the places, or one area for all. A run holds no expectations,
// for in it crews come as they are expected; a column expected_at that somebody
// adds is read as in the general file.
//
// # Whose the crews are
//
// CSV with the columns crew and provider (prv_…, empty for nobody's that this
// service knows), for rows that name a crew and no provider. It stands beside
// files of either shape, and lists every crew they name.
package history
