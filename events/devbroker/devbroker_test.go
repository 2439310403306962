package devbroker_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"rescued/events"
	"rescued/events/devbroker"
)

const (
	patience = time.Minute
	childDir = "RESCUED_TEST_BROKER_DIR"
)

// TestMain is also the program that gets killed: a broker that writes ten
// outside records, says so, and waits for its end.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

func child(dir string) {
	ctx := context.Background()
	b, err := devbroker.Start(ctx, options(dir))
	if err == nil {
		b.MarkRepublished()
		_, err = events.EnsureTopics(ctx, b.Config(), devbroker.Limits)
	}
	if err == nil {
		err = write(ctx, b, string(events.TopicIntake), 10)
	}
	if err == nil {
		err = write(ctx, b, string(events.TopicRequests), 10)
	}
	if err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString("ready\n")
	select {}
}

func options(dir string) devbroker.Options {
	return devbroker.Options{Dir: dir, Carry: []string{string(events.TopicIntake)}, Log: slog.New(slog.DiscardHandler)}
}

func write(ctx context.Context, b *devbroker.Broker, topic string, n int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.DefaultProduceTopic(topic))
	if err != nil {
		return err
	}
	defer client.Close()
	for i := range n {
		r := &kgo.Record{Key: []byte(strconv.Itoa(i)), Value: []byte("value " + strconv.Itoa(i)), Timestamp: time.UnixMilli(1_700_000_000_000),
			Headers: []kgo.RecordHeader{{Key: "ce_id", Value: []byte(strconv.Itoa(i))}}}
		if err := client.ProduceSync(ctx, r).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}

// read returns the values of a topic by key; it fails the test if more than
// want come.
func read(t *testing.T, b *devbroker.Broker, topic string, want int) map[string]*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumeTopics(topic))
	require.NoError(t, err)
	defer client.Close()
	got := map[string]*kgo.Record{}
	total := 0
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for total < want {
		fetches := client.PollFetches(ctx)
		require.NoError(t, ctx.Err(), "read %d of %d", total, want)
		fetches.EachRecord(func(r *kgo.Record) { got[string(r.Key)] = r; total++ })
	}
	require.Equal(t, want, total)
	return got
}

func run(t *testing.T, opts devbroker.Options) *devbroker.Broker {
	t.Helper()
	b, err := devbroker.Start(context.Background(), opts)
	require.NoError(t, err)
	return b
}

func TestACleanStopKeepsEverything(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	b := run(t, options(dir))
	require.True(t, b.Fresh())
	states, err := events.EnsureTopics(ctx, b.Config(), devbroker.Limits)
	require.NoError(t, err)
	for i, state := range states {
		require.True(t, state.Created)
		require.Equal(t, events.Topics()[i].Partitions, state.Partitions)
		require.Empty(t, state.Mend)
	}
	require.NoError(t, write(ctx, b, string(events.TopicRequests), 5))
	b.MarkRepublished()
	require.NoError(t, b.Close())

	b = run(t, options(dir))
	require.False(t, b.Fresh())
	read(t, b, string(events.TopicRequests), 5)
	states, err = events.EnsureTopics(ctx, b.Config(), devbroker.Limits)
	require.NoError(t, err)
	for _, state := range states {
		require.False(t, state.Created)
	}
	require.NoError(t, b.Close())
}

func TestAKilledBrokerStartsEmptyAndKeepsWhatOthersWrote(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	kill(t, dir)
	for range 2 { // nobody republished: the second start is fresh again, with what was carried
		b := run(t, options(dir))
		require.True(t, b.Fresh())
		_, err := events.EnsureTopics(ctx, b.Config(), devbroker.Limits)
		require.NoError(t, err)
		got := read(t, b, string(events.TopicIntake), 10)
		require.Len(t, got, 10)
		require.Equal(t, "value 7", string(got["7"].Value))
		require.Equal(t, "ce_id", got["7"].Headers[0].Key)
		require.Equal(t, int64(1_700_000_000_000), got["7"].Timestamp.UnixMilli())
		require.NoDirExists(t, filepath.Join(dir, "old"))
		require.NoError(t, write(ctx, b, string(events.TopicRequests), 1))
		read(t, b, string(events.TopicRequests), 1) // the ten of before are gone
		require.NoError(t, b.Close())
	}
}

func TestAKillDuringRecoveryLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kill(t, dir)
	// As if killed with the old data renamed and the copy half written.
	require.NoError(t, os.Rename(filepath.Join(dir, "data"), filepath.Join(dir, "old")))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "data", "half"), 0o755))
	b := run(t, options(dir))
	require.True(t, b.Fresh())
	read(t, b, string(events.TopicIntake), 10)
	require.NoError(t, b.Close())
}

func TestUnreadableOldRecordsAreKeptAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kill(t, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data", "meta.json"), []byte("not JSON"), 0o600))
	b := run(t, options(dir))
	require.True(t, b.Fresh())
	require.NoError(t, b.Close())
	kept, err := filepath.Glob(filepath.Join(dir, "old-unread-*"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
}

// kill runs a broker in another process and kills it in its work.
func kill(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line := make([]byte, 200)
	n, err := out.Read(line)
	require.NoError(t, err)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	require.Equal(t, "ready\n", string(line[:n]))
}

func TestOneBrokerPerDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := run(t, options(dir))
	_, err := devbroker.Start(context.Background(), options(dir))
	require.ErrorContains(t, err, "another embedded broker runs on "+dir+", pid "+strconv.Itoa(os.Getpid()))
	require.NoError(t, b.Close())
	b = run(t, options(dir))
	require.NoError(t, b.Close())
}

func TestATakenPortIsOneSentence(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	opts := options(t.TempDir())
	b := run(t, opts)
	b.MarkRepublished()
	require.NoError(t, b.Close())
	opts.Port = l.Addr().(*net.TCPAddr).Port
	_, err = devbroker.Start(context.Background(), opts)
	require.ErrorContains(t, err, "port "+strconv.Itoa(opts.Port)+" on 127.0.0.1 is taken")
	require.NotContains(t, err.Error(), "\n")
	opts.Port = 0
	b = run(t, opts) // the directory is free again, and as it was
	require.False(t, b.Fresh())
	require.NoError(t, b.Close())
}

func TestAFileInPlaceOfTheDirectory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := devbroker.Start(context.Background(), options(path))
	require.Error(t, err)
	require.True(t, strings.Contains(err.Error(), path), err)
}
