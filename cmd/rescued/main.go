// Command rescued gets a crew to a stranded car and keeps the promise made to
// its owner. It is the one binary of the system: the service in its roles
// (serve), the whole system in one process for a first look (dev), traffic
// against a running system (feed) and what those who run it need.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"rescued/internal/fault"
)

// version is set by the build.
var version = "unversioned"

// cli is the command line. Each command's Run gets an app.
type cli struct {
	Dev         devCmd         `cmd:"" help:"Start the whole system in this process, with demonstration traffic: what make run does."`
	Serve       serveCmd       `cmd:"" help:"Run the service against an outside Postgres and Kafka, in one or more roles."`
	Feed        feedCmd        `cmd:"" help:"Stream a demand file into a running system, with crews that answer, and account for every row."`
	Replay      replayCmd      `cmd:"" help:"Replay a demand file against a fleet, without a clock: what would have been on time, under which policy."`
	Areas       areasCmd       `cmd:"" help:"Import or list the areas the service covers."`
	Import      importCmd      `cmd:"" help:"Bring past rescues of another system, or a run of the simulator, into the journal as history."`
	Token       tokenCmd       `cmd:"" help:"Issue, list and revoke access tokens."`
	Migrate     migrateCmd     `cmd:"" help:"Bring the database to this version's schema."`
	Topics      topicsCmd      `cmd:"" help:"Create missing Kafka topics and check the others."`
	Republish   republishCmd   `cmd:"" help:"Send a range of the journal to Kafka again, for a broker that lost data."`
	DeadLetters deadLettersCmd `cmd:"" help:"List events nobody could handle, and try one again."`
	Speeds      speedsCmd      `cmd:"" help:"Tell what finished jobs have taught of travel times, and how far off the model was."`
	Report      reportCmd      `cmd:"" help:"Tell how promises were kept and what it cost, by day, month, city, provider, partner or policy."`
	Export      exportCmd      `cmd:"" help:"Write compensations, promises, the ledger, a batch, chargebacks or a statement as CSV or XLSX, with what the file comes to."`
	Doctor      doctorCmd      `cmd:"" help:"Check database, broker, travel times, clock, disk and ports, each with its mend."`
	OpenAPI     openAPICmd     `cmd:"" name:"openapi" help:"Print the OpenAPI 3.1 document of the HTTP API."`
	AsyncAPI    asyncAPICmd    `cmd:"" name:"asyncapi" help:"Print the AsyncAPI 3 document of the Kafka topics."`
	Policy      policyCmd      `cmd:"" help:"Check a promise policy, print its schema, or try it on the rescues there were."`
	Verify      verifyCmd      `cmd:"" help:"Recompute every verdict from the journal, walk the ledger, and report any difference."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

// app is what a command may touch of the world around it.
type app struct {
	ctx    context.Context
	clock  *businessClock // for what is decided and recorded
	env    []string
	stdout io.Writer
	stderr io.Writer
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(a *app) error {
	_, err := fmt.Fprintln(a.stdout, version)
	return err
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run is the program: it parses args, runs one command and gives the exit
// code: 0 done, 1 failed with one clear sentence on stderr, 2 the command line
// was not understood.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	return runAt(ctx, wallClock(), args, environ, stdout, stderr)
}

// runAt runs the program by a clock.
func runAt(ctx context.Context, clock *businessClock, args, environ []string, stdout, stderr io.Writer) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("rescued"),
		kong.Description("Gets a crew to a stranded car and keeps the promise made to its owner."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.Vars{"data": defaultData},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "rescued:", err)
		return 2
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help printed what there was to say
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "rescued: %v (rescued --help lists the commands)\n", err)
		return 2
	}
	err = parsed.Run(&app{ctx, clock, environ, stdout, stderr})
	switch {
	case err == nil, errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return 0
	default:
		fmt.Fprintln(stderr, "rescued:", plainly(err))
		return 1
	}
}

// plainly writes an error that lists wrong fields as its sentence and a line
// for each; any other as it is.
func plainly(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) || len(f.Fields) == 0 {
		return err.Error()
	}
	const shown = 50
	text := strings.TrimSuffix(f.Detail, "; see fields.")
	for i, field := range f.Fields {
		if i == shown {
			text += fmt.Sprintf("\n  and %d more", len(f.Fields)-shown)
			break
		}
		text += "\n  " + field.Field + ": " + field.Detail
	}
	return text
}
