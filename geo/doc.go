// Package geo knows where things are: points and their distances, the datums
// positions arrive in, H3 cells, the nearest moving things, travel times, and
// which covered area a place belongs to.
//
// Inside the system every position is WGS-84 (Point). ToWGS84 is the one way in
// for the GCJ-02 and BD-09 coordinates that Chinese phones and maps give, and it
// wants the datum by name.
//
// Index answers the question a dispatcher asks thousands of times a day: who is
// free, able, and nearest to this car? It keeps every crew in memory, in a tree
// over H3 cells, and yields crews in exact great-circle order. It is a hint,
// rebuilt from the position stream at start; whether a crew is truly free is
// decided elsewhere, by a row lock.
//
// Nearest in metres is not soonest. TravelTimes turns places into durations.
// StraightLine is the model used without a map; SpeedBook corrects it, as Speeds, by what
// finished drives really took. Valhalla, OSRM and AMap ask a routing engine over
// HTTP. Routed puts them together for a decision that cannot wait: the engine
// times the shortlist, the model answers for whatever the engine does not, and
// each figure names its source.
//
// Areas says which city a place belongs to and whether it counts as that city's
// urban part or its county, because promises differ. China's 370 cities are
// built in; any other country is a CSV file of centres or a GeoJSON file of
// polygons.
//
// Everything else here is a function of its arguments, or memory guarded by a
// lock: no clock, no network, no database. Only the engines use the network, and
// only they, their quota, cache and breaker look at the wall clock. Distances are
// metres, angles degrees, times as given.
package geo
