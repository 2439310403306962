// Package traffic plays the outside world against a running system, through
// its public API only: owners whose calls come from a demand file, and crews
// that report positions, take or refuse offers, drive, arrive and finish.
//
// `rescued dev` uses it for its demonstration and `rescued feed` to stream any
// demand file. It knows nothing of the service's insides, so what it shows is
// what an app, a partner's backend or a crew's phone would see. All its times
// are business times: it reads the system's clock and paces itself by it.
package traffic
