// Package sim replays a demand file against a fleet: a discrete-event
// simulator over the service's own decisions (dispatch.Assign), promises
// (sla.Policy) and travel model (geo.StraightLine). It has no wall clock and
// draws no numbers of its own: the same files and settings give the same
// bytes.
//
// # What happens
//
// A request begins to wait when its call is made. A crew that is committed to
// it is busy from that moment: turnout where it stands, then the drive along
// the great circle, then the service at the car. It waits for its next job
// where it finished the last one. A crew starts no job outside its shift and
// finishes the one it has.
//
// Events of one instant happen together, and then a Policy decides once over
// what it sees in a View. Its Orders are checked before they are carried out:
// a policy that sends a crew which cannot, may not or is not there stops the
// run with an error.
//
// # Times
//
// Every instant of a run is a whole millisecond, the precision of the written
// files, so that what is written is what happened: freed is arrived plus
// service, to the digit. A call is taken at the first whole millisecond not
// before it. A leg's drive is its travel time rounded to the nearest
// millisecond. Where travel times are compared (who is nearer), they are
// compared in whole microseconds, so that two crews at the same distance tie
// whatever the last bit of the arithmetic says. A place on the way, where a
// crew is diverted, is rounded to 1e-9 degree (0.1 mm) and written in full.
package sim
