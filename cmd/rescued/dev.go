package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"rescued/cmd/rescued/traffic"
	"rescued/events"
	"rescued/events/devbroker"
	"rescued/internal/pg"
	"rescued/internal/pg/local"
)

// devCmd runs the whole system in one process: a private Postgres, a Kafka
// broker inside the process, the service in every role, and demonstration
// traffic. Everything it keeps lies in one directory, and a second start goes
// on from there.
type devCmd struct {
	Data      string  `help:"Directory that holds everything: database, broker, tokens." default:"${data}" placeholder:"DIR"`
	Port      int     `help:"Port of the API and the pages on 127.0.0.1." default:"8080"`
	KafkaPort int     `help:"Port of the Kafka broker on 127.0.0.1." default:"9092"`
	NoDemo    bool    `help:"No demonstration traffic."`
	Speed     float64 `help:"How many times faster than the wall the business clock runs (default: 60 with the demonstration, 1 without)." placeholder:"N"`
	Reset     bool    `help:"Set the data directory aside (renamed, not deleted) and start afresh."`
	EnvFile   string  `help:"Also write addresses and a token per role here, as shell assignments, once it is ready." placeholder:"FILE"`
}

// defaultData is where rescued dev keeps everything unless told otherwise.
const defaultData = ".rescued"

const demoSpeed = 60

// maxSpeed keeps the shortest business timeouts above what loops and a local
// network need: at 600× a crew has 75 ms to answer an offer.
const maxSpeed = 600

// Run starts everything, prints where to look and reports until it is stopped.
func (d devCmd) Run(a *app) (err error) {
	if err := d.check(); err != nil {
		return err
	}
	dir, place, err := d.directory(a.stdout)
	if err != nil {
		return err
	}
	logFile, err := os.OpenFile(filepath.Join(dir, "rescued.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the log into %s: %w; choose another with --data", dir, plain(err))
	}
	defer logFile.Close()
	log := slog.New(slog.NewTextHandler(logFile, nil))

	// The port is taken first: nothing is started only to be stopped again.
	listener, err := listen("--port", d.Port)
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := d.kafkaPortFree(); err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintf(a.stdout, "  "+format+"\n", args...) }
	fmt.Fprintln(a.stdout, "rescued dev: the whole system in one process")

	cluster, err := local.Start(a.ctx, local.Options{Dir: place, Progress: func(s string) { say("%s", s) }})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopped("postgres", cluster.Stop)) }()
	if err := cluster.CreateDatabase(a.ctx, devDatabase); err != nil {
		return err
	}
	url := cluster.URL(devDatabase)
	pool, err := pg.Open(a.ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := pg.Migrate(a.ctx, pool, migrations(), func(p pg.Progress) { say("%s", p) }); err != nil {
		return err
	}
	clock, err := resumeClock(a.ctx, pool, d.Speed)
	if err != nil {
		return err
	}

	broker, err := devbroker.Start(a.ctx, devbroker.Options{
		Dir: filepath.Join(dir, "kafka"), Port: d.KafkaPort, Carry: []string{string(events.TopicIntake)}, Log: log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	if _, err := events.EnsureTopics(a.ctx, broker.Config(), devbroker.Limits); err != nil {
		return err
	}

	payouts, err := devPayouts(dir)
	if err != nil {
		return err
	}
	base := "http://" + listener.Addr().String()
	sys, err := newSystem(a.ctx, systemConfig{
		Pool: pool, Kafka: broker.Config(), Clock: clock, Log: log, Roles: allRoles(),
		PublicURL: base, OfferTTL: 45 * time.Second, FreshFor: 10 * time.Minute, Swaps: true, Payouts: payouts, DrainFor: 5 * time.Second, RequestRate: 1_000_000,
	})
	if err != nil {
		return err
	}
	defer sys.close()
	if broker.Fresh() {
		if n, err := events.RepublishUnapplied(a.ctx, pool, sys.handlers()); err != nil {
			return err
		} else if n > 0 {
			say("the broker starts empty after an unclean stop: %d events are published again from the journal", n)
		}
		broker.MarkRepublished()
	}
	access, err := issueDevTokens(a.ctx, sys, filepath.Join(dir, "tokens"))
	if err != nil {
		return err
	}

	g, ctx := errgroup.WithContext(a.ctx)
	g.Go(func() error { return sys.run(ctx, listener) })
	g.Go(func() error { return keepClock(ctx, pool, clock, log) })
	g.Go(func() error { return watchPostgres(ctx, cluster) })
	g.Go(func() error {
		if err := sys.awaitReady(ctx); err != nil {
			return err
		}
		place := reach{url: base, kafka: broker.Addr(), database: url, access: access}
		if err := d.tell(a.stdout, place, dir, clock); err != nil {
			return err
		}
		if !d.NoDemo {
			g.Go(func() error { return traffic.Demo(ctx, base, access["ADMIN"], access["PARTNER"], log) })
		}
		return reportStatus(ctx, a.stdout, sys, clock)
	})
	err = g.Wait()
	if a.ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		fmt.Fprintln(a.stdout, "\nstopped; the next make run goes on from here")
		return nil
	}
	return err
}

const devDatabase = "rescued"

func (d *devCmd) check() error {
	if d.Speed == 0 {
		d.Speed = demoSpeed
		if d.NoDemo {
			d.Speed = 1
		}
	}
	if d.Speed < 1 || d.Speed > maxSpeed {
		return fmt.Errorf("--speed %v is out of range: use 1 (the wall's pace) to %d", d.Speed, maxSpeed)
	}
	for name, port := range map[string]int{"--port": d.Port, "--kafka-port": d.KafkaPort} {
		if port < 1 || port > 65535 {
			return fmt.Errorf("%s %d is not a port: use 1024 to 65535", name, port)
		}
	}
	if d.EnvFile != "" {
		if err := dirExists(filepath.Dir(d.EnvFile)); err != nil {
			return fmt.Errorf("--env-file %s: %w; make its directory, or name another file", d.EnvFile, plain(err))
		}
	}
	if d.Port == d.KafkaPort {
		return fmt.Errorf("--port and --kafka-port are both %d: choose two", d.Port)
	}
	return nil
}

func dirExists(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return syscall.ENOTDIR
	}
	return err
}

// listen takes a port of 127.0.0.1; its error names the flag that chooses another.
func listen(flag string, port int) (net.Listener, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %d on 127.0.0.1 is taken by another program: stop it, or choose another with %s (make run ARGS=\"%s %d\")", port, flag, flag, port+1)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on port %d of 127.0.0.1: %w; choose another with %s", port, plain(err), flag)
	}
	return l, nil
}

// kafkaPortFree asks before anything is started; the broker takes it later.
func (d devCmd) kafkaPortFree() error {
	l, err := listen("--kafka-port", d.KafkaPort)
	if err != nil {
		return err
	}
	return l.Close()
}

// plain drops the call and path that os puts before the reason, which the
// sentence around it has already named.
func plain(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Err
	}
	return err
}

func stopped(part string, stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	if err := stop(ctx); err != nil {
		return fmt.Errorf("stop %s: %w", part, err)
	}
	return nil
}

func watchPostgres(ctx context.Context, cluster *local.Cluster) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-cluster.Done():
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("%w; its log is postgres.log in the data directory", err)
	}
}

func formatSpeed(speed float64) string { return strconv.FormatFloat(speed, 'f', -1, 64) + "×" }
