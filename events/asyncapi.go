package events

// Message is an event type of the AsyncAPI document that is not registered
// here, such as what other backends send to the intake topic.
type Message struct {
	Name    string // of the component, such as RequestSubmitted
	Type    string // CloudEvents type
	Topic   Topic
	About   string
	Payload any // a zero value of the Go type
	// Foreign marks a message others send and this system receives.
	Foreign bool
}
