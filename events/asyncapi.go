package events

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Message is an event type of the AsyncAPI document that is not registered
// here, such as what other backends send to the intake topic.
type Message struct {
	Name    string // of the component, such as RequestSubmitted
	Type    string // CloudEvents type; empty when the sender chooses it
	Topic   Topic
	About   string
	Payload any // a zero value of the Go type
	// Foreign marks a message that others send and this system receives.
	Foreign bool
}

type object = map[string]any

// AsyncAPI is the AsyncAPI 3.0 document of every topic, as JSON: channels,
// what is sent and received there, headers and payloads. It is read off the
// Go types, so it cannot say anything else than the code does.
func AsyncAPI(extra ...Message) ([]byte, error) {
	typeDocs, fieldDocs := docs()
	messages := make([]Message, 0, len(registered)+len(extra))
	for _, ev := range registered {
		topic, _ := ev.Stream()
		name := reflect.TypeOf(ev).Name()
		messages = append(messages, Message{Name: name, Type: ev.EventType(), Topic: topic, About: typeDocs[name], Payload: ev})
	}
	messages = append(messages, extra...)

	schemas := schemaSet{defs: object{}, typeDocs: typeDocs, fieldDocs: fieldDocs}
	channels, operations, components := object{}, object{}, object{}
	for _, spec := range Topics() {
		channels[string(spec.Topic)] = channel(spec, messages)
		for _, foreign := range []bool{false, true} {
			if op, name := operation(spec, messages, foreign); op != nil {
				operations[name] = op
			}
		}
	}
	for _, m := range messages {
		if _, twice := components[m.Name]; twice {
			return nil, fmt.Errorf("two messages are named %s", m.Name)
		}
		if !slices.ContainsFunc(Topics(), func(s TopicSpec) bool { return s.Topic == m.Topic }) {
			return nil, fmt.Errorf("message %s is on %q, which is no topic of this system", m.Name, m.Topic)
		}
		components[m.Name] = component(m, &schemas)
	}
	schemas.defs["OurHeaders"], schemas.defs["ForeignHeaders"] = headerSchema(false), headerSchema(true)
	return json.MarshalIndent(object{
		"asyncapi": "3.0.0",
		"info": object{
			"title": "rescued events", "version": "1.0.0",
			"description": "Roadside rescues as CloudEvents 1.0 on Kafka, binary content mode: one ce_ header per attribute, the payload as JSON in the value. Delivery is at least once; ce_id tells a repeat. Order holds within a key.",
			"license":     object{"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
		},
		"defaultContentType": contentType,
		"channels":           channels,
		"operations":         operations,
		"components":         object{"messages": components, "schemas": schemas.defs},
	}, "", "  ")
}

func channel(spec TopicSpec, messages []Message) object {
	here := object{}
	for _, m := range messages {
		if m.Topic == spec.Topic {
			here[m.Name] = ref("#/components/messages/" + m.Name)
		}
	}
	return object{
		"address": string(spec.Topic), "description": spec.About, "messages": here,
		"bindings": object{"kafka": object{"topic": string(spec.Topic), "partitions": spec.Partitions, "bindingVersion": "0.5.0"}},
	}
}

// operation is what this system does on a topic: receive what is foreign, send
// the rest. A direction without messages has none.
func operation(spec TopicSpec, messages []Message, foreign bool) (op object, name string) {
	action, verb := "send", "says"
	if foreign {
		action, verb = "receive", "takes"
	}
	var refs []object
	for _, m := range messages {
		if m.Topic == spec.Topic && m.Foreign == foreign {
			refs = append(refs, ref("#/channels/"+escapePointer(string(spec.Topic))+"/messages/"+m.Name))
		}
	}
	if refs == nil {
		return nil, ""
	}
	short := strings.Split(string(spec.Topic), ".")[1]
	return object{
		"action": action, "channel": ref("#/channels/" + escapePointer(string(spec.Topic))), "messages": refs,
		"summary": fmt.Sprintf("What rescued %s on %s.", verb, spec.Topic),
	}, action + strings.ToUpper(short[:1]) + short[1:]
}

func component(m Message, schemas *schemaSet) object {
	headers := "OurHeaders"
	if m.Foreign {
		headers = "ForeignHeaders"
	}
	all := []any{ref("#/components/schemas/" + headers)}
	if m.Type != "" {
		all = append(all, object{"type": "object", "properties": object{headerType: object{"const": m.Type}}})
	}
	c := object{
		"name": m.Name, "title": m.Name, "contentType": contentType,
		"headers": object{"allOf": all},
		"payload": schemas.of(reflect.TypeOf(m.Payload)),
	}
	if m.Type != "" {
		c["title"] = m.Type
	}
	if m.About != "" {
		c["description"] = m.About
	}
	return c
}

func headerSchema(foreign bool) object {
	text := func(about string) object { return object{"type": "string", "description": about} }
	properties := object{
		headerID:          text("Identifier of the event; together with ce_source it tells a repeat."),
		headerSource:      text("Who says it, as a URI reference; " + Source + " for this system."),
		headerType:        text("Type of the event."),
		headerSpec:        object{"type": "string", "const": specVersion},
		headerTime:        object{"type": "string", "format": "date-time", "description": "When it happened."},
		headerSubject:     text("What it tells of: req_… or crw_…."),
		headerKey:         text("The record's key."),
		headerContentType: object{"type": "string", "const": contentType},
	}
	required := []string{headerID, headerSource, headerType}
	if !foreign {
		required = append(required, headerSpec, headerTime, headerActor, headerContentType)
		properties[headerActor] = text("Who did it, as role:subject.")
		properties[headerVersion] = object{"type": "string", "pattern": "^[0-9]+$", "description": "The aggregate's version after it."}
		properties[headerFeedNo] = object{"type": "string", "pattern": "^[0-9]+$", "description": "Place in the gapless feed; absent on positions."}
	}
	return object{"type": "object", "properties": properties, "required": required}
}

func ref(to string) object { return object{"$ref": to} }

// escapePointer writes a name as one step of a JSON pointer (RFC 6901).
func escapePointer(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}
