package events

import (
	"encoding/json"
	"reflect"
)

// registered lists every event of this system, once. Decoding, the golden
// files and the AsyncAPI document all read it.
var registered = []Event{
	RequestOpened{},
	RequestRefused{},
	OfferMade{},
	OfferLapsed{},
	RequestAssigned{},
	RequestStranded{},
	RequestHeld{},
	CrewDeparted{},
	ArrivalUnproven{},
	CrewArrived{},
	RequestReleased{},
	RequestCancelled{},
	RequestFinished{},
	RequestWarned{},
	ArrivalForecast{},
	CrewPositioned{},
	CrewChanged{},
	GuaranteeArmed{},
	GuaranteeAtRisk{},
	GuaranteeBreached{},
	GuaranteeSettled{},
	CompensationAccrued{},
	CompensationChanged{},
	BatchChanged{},
	PayoutChanged{},
	StatementReconciled{},
	DayChanged{},
	PolicyChanged{},
	HistoryImported{},
	ImportChanged{},
	FactRecorded{},
	DeadlineMoved{},
	ConditionDeclared{},
	ExportMade{},
	ChargebackChanged{},
	StatementChanged{},
	StatementLineChanged{},
}

var byType = func() map[string]Event {
	m := make(map[string]Event, len(registered))
	for _, ev := range registered {
		if _, twice := m[ev.EventType()]; twice {
			panic("events: two payloads share the type " + ev.EventType())
		}
		m[ev.EventType()] = ev
	}
	return m
}()

// Registered lists a zero value of every event type, in the order of types.go.
func Registered() []Event { return append([]Event(nil), registered...) }

// decodePayload reads data as the registered type of that name.
func decodePayload(typ string, data json.RawMessage) (Event, error) {
	zero, ok := byType[typ]
	if !ok {
		return nil, ErrUndecodable.Detailf("Nobody here knows the event type %.80q.", typ)
	}
	v := reflect.New(reflect.TypeOf(zero))
	if err := json.Unmarshal(data, v.Interface()); err != nil {
		return nil, ErrUndecodable.Detailf("The data is not a %s: %v.", typ, err).Because(err)
	}
	return v.Elem().Interface().(Event), nil
}
