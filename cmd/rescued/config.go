package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"rescued/events"
	"rescued/geo"
	"rescued/sla"
)

// Config is everything `serve` and the administrative commands read from the
// environment, once. Every variable begins with RESCUED_.
type Config struct {
	DatabaseURL     string `env:"DATABASE_URL"`           // postgres://user:password@host/db
	DatabaseURLFile string `env:"DATABASE_URL_FILE,file"` // the same, read from a file

	Kafka         []string `env:"KAFKA" envSeparator:","`       // host:port of one or more brokers
	KafkaSASL     string   `env:"KAFKA_SASL" envDefault:"none"` // none, plain, scram-sha-256 or scram-sha-512
	KafkaUser     string   `env:"KAFKA_USER"`                   // SASL user
	KafkaPassword string   `env:"KAFKA_PASSWORD_FILE"`          // file that holds the SASL password; read at every connection
	KafkaTLS      bool     `env:"KAFKA_TLS"`                    // speak TLS to the brokers
	KafkaCA       string   `env:"KAFKA_CA_FILE"`                // CA certificates, PEM; empty: the system's
	KafkaCert     string   `env:"KAFKA_CERT_FILE"`              // client certificate, PEM
	KafkaKey      string   `env:"KAFKA_KEY_FILE"`               // its key
	KafkaReplicas int16    `env:"KAFKA_REPLICATION"`            // replicas of created topics; 0: the broker's default
	KafkaPrefix   string   `env:"KAFKA_PREFIX"`                 // before every topic and group, where systems share a cluster

	// KafkaSession is how long a replica may be silent before its partitions
	// go to others.
	KafkaSession time.Duration `env:"KAFKA_SESSION" envDefault:"10s"`

	Listen     string        `env:"LISTEN" envDefault:"127.0.0.1:8080"`  // address of the API
	PublicURL  string        `env:"PUBLIC_URL"`                          // where owners reach it; used in links
	OfferTTL   time.Duration `env:"OFFER_TTL" envDefault:"45s"`          // how long a crew may think
	FreshFor   time.Duration `env:"POSITION_FRESH_FOR" envDefault:"10m"` // older positions do not get offers
	Service    time.Duration `env:"SERVICE_TIME" envDefault:"30m"`       // expected time at the car; plans count on it
	Swaps      bool          `env:"SWAPS" envDefault:"true"`             // send a crew that is asked or on its way elsewhere when that keeps a promise and breaks none
	Disputes   time.Duration `env:"DISPUTE_WINDOW" envDefault:"168h"`    // how long a provider or partner may dispute its statement once it is issued
	DrainFor   time.Duration `env:"DRAIN_FOR" envDefault:"20s"`          // time to finish what is in hand on SIGTERM
	Router     string        `env:"ROUTER"`                              // routing engine: valhalla, osrm or amap; empty: the straight-line model alone
	RouterURL  string        `env:"ROUTER_URL"`                          // its address
	RouterKey  string        `env:"ROUTER_KEY_FILE,file"`                // amap's key, read from a file
	RouterRate int           `env:"ROUTER_PER_SECOND" envDefault:"20"`   // amap: calls a second of this replica
	RouterDay  int           `env:"ROUTER_PER_DAY"`                      // amap: calls a day of this replica; 0: no limit

	PayoutDir    string `env:"PAYOUT_DIR"`              // directory that approved batches are written into as files
	PayoutURL    string `env:"PAYOUT_URL"`              // address that takes approved batches, signed
	PayoutSecret string `env:"PAYOUT_SECRET_FILE,file"` // the secret they are signed with, read from a file

	LogLevel    string `env:"LOG_LEVEL" envDefault:"info"`   // debug, info, warn or error
	LogFormat   string `env:"LOG_FORMAT" envDefault:"json"`  // json or text
	RequestRate int    `env:"REQUEST_RATE" envDefault:"600"` // calls a minute for one token or address
}

// readConfig reads the environment (NAME=value lines) and names everything
// that is wrong with it at once.
func readConfig(environ []string) (Config, error) {
	vars := env.ToMap(environ)
	c, err := parseConfig(vars)
	// What cannot be read at all is named and taken as not set, so that the
	// rest is checked as well.
	unread := unreadable(err, vars)
	if len(unread) > 0 {
		c, err = parseConfig(vars)
	}
	if err != nil {
		return c, errors.Join(append(unread, fmt.Errorf("read the environment: %w", err))...)
	}
	if c.DatabaseURL == "" {
		c.DatabaseURL = strings.TrimSpace(c.DatabaseURLFile)
	}
	return c, errors.Join(append(unread, c.problems()...)...)
}

const configPrefix = "RESCUED_"

func parseConfig(vars map[string]string) (c Config, err error) {
	err = env.ParseWithOptions(&c, env.Options{Prefix: configPrefix, Environment: vars})
	return c, err
}

// unreadable names the variables whose values are not of their type or whose
// files cannot be read, and removes them from vars.
func unreadable(err error, vars map[string]string) (out []error) {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return nil
	}
	for _, e := range all.Errors {
		var file env.LoadFileContentError
		if errors.As(e, &file) {
			out = append(out, fmt.Errorf("%s: %w", file.Key, file.Err))
			delete(vars, file.Key)
		}
		var p env.ParseError
		if !errors.As(e, &p) {
			continue
		}
		field, _ := reflect.TypeFor[Config]().FieldByName(p.Name)
		tag, _, _ := strings.Cut(field.Tag.Get("env"), ",")
		name := configPrefix + tag
		out = append(out, fmt.Errorf("%s is %q; it must be %s", name, vars[name], kinds[field.Type.Kind()]))
		delete(vars, name)
	}
	return out
}

// kinds says in words what a variable of a Go kind holds.
var kinds = map[reflect.Kind]string{
	reflect.Bool: "true or false", reflect.Int: "a whole number", reflect.Int16: "a whole number up to 32767",
	reflect.Int64: "a duration such as 45s or 10m",
}

func (c Config) problems() (out []error) {
	wrong := func(format string, args ...any) { out = append(out, fmt.Errorf(format, args...)) }
	if u, err := url.Parse(c.DatabaseURL); c.DatabaseURL != "" && (err != nil || u.Scheme == "") && !strings.Contains(c.DatabaseURL, "=") {
		wrong("RESCUED_DATABASE_URL is not a URL like postgres://user@host/db")
	}
	for _, b := range c.Kafka {
		if _, _, err := net.SplitHostPort(b); err != nil {
			wrong("RESCUED_KAFKA: %q is not host:port", b)
		}
	}
	if !slices.Contains([]string{"none", "plain", "scram-sha-256", "scram-sha-512"}, c.KafkaSASL) {
		wrong("RESCUED_KAFKA_SASL is %q; use none, plain, scram-sha-256 or scram-sha-512", c.KafkaSASL)
	}
	if c.KafkaSASL != "none" && (c.KafkaUser == "" || c.KafkaPassword == "") {
		wrong("RESCUED_KAFKA_SASL is %s, so RESCUED_KAFKA_USER and RESCUED_KAFKA_PASSWORD_FILE must be set", c.KafkaSASL)
	}
	for name, file := range map[string]string{"CA": c.KafkaCA, "CERT": c.KafkaCert, "KEY": c.KafkaKey, "PASSWORD": c.KafkaPassword} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			wrong("RESCUED_KAFKA_%s_FILE: %v", name, err)
		}
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		wrong("RESCUED_LISTEN: %q is not host:port", c.Listen)
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || u.Host == "") {
		wrong("RESCUED_PUBLIC_URL: %q is not a URL like https://rescue.example.cn", c.PublicURL)
	}
	if c.Service < time.Minute {
		wrong("RESCUED_SERVICE_TIME is %s; it must be at least 1m", c.Service)
	}
	if c.Disputes < time.Hour {
		wrong("RESCUED_DISPUTE_WINDOW is %s; whoever is charged needs at least 1h to look at its statement", c.Disputes)
	}
	if c.OfferTTL < time.Second {
		wrong("RESCUED_OFFER_TTL is %s; a crew needs at least 1s to answer", c.OfferTTL)
	}
	if c.KafkaSession < 500*time.Millisecond || c.KafkaSession > 5*time.Minute {
		wrong("RESCUED_KAFKA_SESSION is %s; use 500ms to 5m (brokers refuse less than 6s unless told otherwise)", c.KafkaSession)
	}
	if c.FreshFor < 10*time.Second {
		wrong("RESCUED_POSITION_FRESH_FOR is %s; at least 10s", c.FreshFor)
	}
	if _, err := c.travel(); err != nil {
		wrong("RESCUED_ROUTER: %v", err)
	}
	if _, err := c.payouts(); err != nil {
		wrong("RESCUED_PAYOUT_%v", err)
	}
	if c.RequestRate < 1 {
		wrong("RESCUED_REQUEST_RATE is %d; at least 1 call a minute", c.RequestRate)
	}
	if _, err := c.level(); err != nil {
		wrong("RESCUED_LOG_LEVEL is %q; use debug, info, warn or error", c.LogLevel)
	}
	if c.LogFormat != "json" && c.LogFormat != "text" {
		wrong("RESCUED_LOG_FORMAT is %q; use json or text", c.LogFormat)
	}
	return out
}

// needDatabase and needKafka refuse to go on without what a command uses.
func (c Config) needDatabase() error {
	if c.DatabaseURL == "" {
		return errors.New("RESCUED_DATABASE_URL is not set; for example postgres://rescued@db.internal/rescued (or name a file in RESCUED_DATABASE_URL_FILE)")
	}
	return nil
}

func (c Config) needKafka() error {
	if len(c.Kafka) == 0 {
		return errors.New("RESCUED_KAFKA is not set; give host:port of one or more brokers, separated by commas")
	}
	return nil
}

func (c Config) level() (l slog.Level, err error) {
	err = l.UnmarshalText([]byte(c.LogLevel))
	return l, err
}

// logger writes to stderr in the configured shape.
func (c Config) logger(w *os.File) *slog.Logger {
	level, err := c.level()
	if err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "text" {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

// redacted is the configuration as it may be printed: no password in it.
func (c Config) redacted() string {
	database := "(not set)"
	if u, err := url.Parse(c.DatabaseURL); err == nil && c.DatabaseURL != "" {
		database = u.Redacted()
	}
	return fmt.Sprintf("database %s; kafka %s sasl %s user %q password file %q tls %t; listen %s; public url %s; router %s %s; payouts %s; offer ttl %s; positions fresh for %s; service %s; swaps %t",
		database, strings.Join(c.Kafka, ","), c.KafkaSASL, c.KafkaUser, c.KafkaPassword, c.KafkaTLS, c.Listen, c.PublicURL, c.Router, c.RouterURL, c.payoutWays(), c.OfferTTL, c.FreshFor, c.Service, c.Swaps)
}

// travel is the travel times: by the named routing engine, with the
// straight-line model behind it, or by the model alone.
func (c Config) travel() (*geo.Routed, error) {
	engine, err := c.engine()
	if err != nil {
		return nil, err
	}
	routed := geo.RoutedConfig{Engine: engine}
	if c.Router != "amap" { // which knows the traffic itself
		routed.Slowdown = geo.DefaultStraightLine().Slowdown
	}
	return geo.NewRouted(routed)
}

// payouts are the ways in which batches are paid, the directory first.
func (c Config) payouts() (ways []sla.Payout, err error) {
	if c.PayoutDir != "" {
		way, err := sla.NewPayoutFile(c.PayoutDir)
		if err != nil {
			return nil, fmt.Errorf("DIR: %w", err)
		}
		ways = append(ways, way)
	}
	if c.PayoutURL != "" {
		way, err := sla.NewPayoutWebhook(sla.WebhookConfig{URL: c.PayoutURL, Secret: []byte(strings.TrimSpace(c.PayoutSecret))})
		if err != nil {
			return nil, fmt.Errorf("URL: %w; set RESCUED_PAYOUT_SECRET_FILE to a file that holds the secret", err)
		}
		ways = append(ways, way)
	}
	return ways, nil
}

// payoutWays names them, for the log.
func (c Config) payoutWays() string {
	ways, _ := c.payouts() // what is wrong with them has been said
	names := make([]string, len(ways))
	for i, way := range ways {
		names[i] = way.Name()
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ",")
}

func (c Config) engine() (geo.RoutingEngine, error) {
	switch c.Router {
	case "":
		return nil, nil
	case "valhalla":
		return geo.NewValhalla(c.RouterURL, nil)
	case "osrm":
		return geo.NewOSRM(c.RouterURL, nil)
	case "amap":
		governor, err := geo.NewGovernor(float64(c.RouterRate), c.RouterRate, c.RouterDay, nil)
		if err != nil {
			return nil, err
		}
		return geo.NewAMap(c.RouterURL, strings.TrimSpace(c.RouterKey), governor, nil)
	}
	return nil, fmt.Errorf("%q is unknown; use valhalla, osrm or amap, or leave it empty", c.Router)
}

// kafka is the client configuration of the brokers.
func (c Config) kafka() events.ClientConfig {
	mechanism := ""
	if c.KafkaSASL != "none" {
		mechanism = strings.ToUpper(c.KafkaSASL)
	}
	return events.ClientConfig{
		Brokers: c.Kafka, Prefix: c.KafkaPrefix, Session: c.KafkaSession,
		SASLMechanism: mechanism, SASLUser: c.KafkaUser, SASLPasswordFile: c.KafkaPassword,
		TLS: c.KafkaTLS, TLSCA: c.KafkaCA, TLSCert: c.KafkaCert, TLSKey: c.KafkaKey,
	}
}
