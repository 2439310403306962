package events

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// ClientConfig says how to reach Kafka. The zero value of a field means
// "not used"; Brokers is required.
type ClientConfig struct {
	// Brokers are host:port addresses to start from.
	Brokers []string
	// Prefix is put before every topic and group name, so that several
	// systems can share a cluster. Empty for a cluster of one's own.
	Prefix string

	// Session is how long a consumer may be silent before its partitions go
	// to others, in wall time; 10 s when zero. Kafka itself refuses less
	// than 6 s unless told otherwise.
	Session time.Duration

	SASLMechanism    string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty for none
	SASLUser         string
	SASLPasswordFile string // read at every connection, so that a password may rotate

	TLS     bool   // implied by the files below
	TLSCA   string // PEM file of the authorities to trust, instead of the system's
	TLSCert string // PEM file of our certificate
	TLSKey  string // PEM file of its key

	// Dial replaces the network, for a broker inside the process.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// topic is the name the broker knows a topic by.
func (c ClientConfig) topic(t Topic) string { return c.Prefix + string(t) }

// group is the name the broker knows a consumer group by.
func (c ClientConfig) group(g string) string { return c.Prefix + g }

// Validate checks the settings and reads the files once. The error names the
// setting and the mend.
func (c ClientConfig) Validate() error {
	_, err := c.options()
	return err
}

// options are the settings every client of ours shares.
func (c ClientConfig) options(more ...kgo.Opt) ([]kgo.Opt, error) {
	if len(c.Brokers) == 0 {
		return nil, errors.New("no Kafka broker is named: give at least one as host:port")
	}
	for _, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return nil, fmt.Errorf("broker %q is not host:port", b)
		}
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID("rescued"),
		kgo.DialTimeout(5 * time.Second),
		// Topics come from EnsureTopics alone: a typo must not make one.
		kgo.UnknownTopicRetries(2),
		kgo.MetadataMinAge(250 * time.Millisecond),
		kgo.MetadataMaxAge(time.Minute),
	}
	tlsConfig, err := c.tls()
	if err != nil {
		return nil, err
	}
	switch {
	case c.Dial != nil && tlsConfig != nil:
		return nil, errors.New("TLS cannot be used with a network inside the process")
	case c.Dial != nil:
		opts = append(opts, kgo.Dialer(c.Dial))
	case tlsConfig != nil:
		opts = append(opts, kgo.DialTLSConfig(tlsConfig))
	}
	auth, err := c.sasl()
	if err != nil {
		return nil, err
	}
	opts = append(opts, auth...)
	return append(opts, more...), nil
}

// connect makes a client; nothing is sent before its first use.
func (c ClientConfig) connect(more ...kgo.Opt) (*kgo.Client, error) {
	opts, err := c.options(more...)
	if err != nil {
		return nil, err
	}
	return kgo.NewClient(opts...)
}

func (c ClientConfig) sasl() ([]kgo.Opt, error) {
	if c.SASLMechanism == "" {
		if c.SASLUser != "" || c.SASLPasswordFile != "" {
			return nil, errors.New("a Kafka user or password file is set without a SASL mechanism: set PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
		}
		return nil, nil
	}
	if c.SASLUser == "" || c.SASLPasswordFile == "" {
		return nil, errors.New("SASL needs both a Kafka user and a password file")
	}
	if _, err := c.password(); err != nil {
		return nil, err
	}
	switch strings.ToUpper(c.SASLMechanism) {
	case "PLAIN":
		return []kgo.Opt{kgo.SASL(plain.Plain(func(context.Context) (plain.Auth, error) {
			pass, err := c.password()
			return plain.Auth{User: c.SASLUser, Pass: pass}, err
		}))}, nil
	case "SCRAM-SHA-256":
		return []kgo.Opt{kgo.SASL(scram.Sha256(c.scram))}, nil
	case "SCRAM-SHA-512":
		return []kgo.Opt{kgo.SASL(scram.Sha512(c.scram))}, nil
	}
	return nil, fmt.Errorf("SASL mechanism %q is not known: set PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", c.SASLMechanism)
}

func (c ClientConfig) scram(context.Context) (scram.Auth, error) {
	pass, err := c.password()
	return scram.Auth{User: c.SASLUser, Pass: pass}, err
}

func (c ClientConfig) password() (string, error) {
	b, err := os.ReadFile(c.SASLPasswordFile)
	if err != nil {
		return "", fmt.Errorf("read the Kafka password file: %w", err)
	}
	pass := strings.TrimRight(string(b), "\r\n")
	if pass == "" {
		return "", fmt.Errorf("the Kafka password file %s is empty", c.SASLPasswordFile)
	}
	return pass, nil
}

// tls is nil when the connection is plain.
func (c ClientConfig) tls() (*tls.Config, error) {
	if !c.TLS && c.TLSCA == "" && c.TLSCert == "" && c.TLSKey == "" {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLSCA != "" {
		pem, err := os.ReadFile(c.TLSCA)
		if err != nil {
			return nil, fmt.Errorf("read the Kafka CA file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the Kafka CA file %s holds no PEM certificate", c.TLSCA)
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return nil, errors.New("a Kafka client certificate and its key go together: set both files or neither")
	}
	if c.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("read the Kafka client certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
