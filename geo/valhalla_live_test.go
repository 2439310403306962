package geo

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/internal/skipped"
)

// valhallaWheel is the Python wheel that carries the engine's programs. They need
// no Python themselves: pip only fetches them.
const valhallaWheel = "pyvalhalla==3.9.1"

const liechtenstein = "testdata/liechtenstein-latest.osm.pbf"

// TestLiveValhalla starts a real Valhalla over the roads of Liechtenstein and
// asks it through the adapter. The first run fetches the wheel (37 MB) and
// builds the tiles (4 s) into the user's cache directory; later ones start in a
// second. RESCUED_TEST_VALHALLA=0 switches it off.
func TestLiveValhalla(t *testing.T) {
	t.Parallel()
	if os.Getenv("RESCUED_TEST_VALHALLA") == "0" {
		skipped.Because(t, "no real Valhalla was asked: RESCUED_TEST_VALHALLA=0 is set; unset it")
	}
	if testing.Short() {
		skipped.Because(t, "no real Valhalla was asked: -short is set; run without it")
	}
	engine, err := NewValhalla(startValhalla(t), nil)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	t.Run("plausible beside the straight line", func(t *testing.T) {
		places := []Point{
			{47.0671, 9.5025}, {47.0900, 9.5130}, {47.1077, 9.5277}, {47.1180, 9.5430}, // Balzers, Triesen, Triesenberg
			{47.1385, 9.5205}, {47.1652, 9.5096}, {47.1975, 9.5440}, {47.2107, 9.5222}, // Vaduz, Schaan, Nendeln, Eschen
			{47.2180, 9.5440}, {47.2130, 9.5080}, {47.2380, 9.5270}, {47.2250, 9.5450}, // Mauren, Bendern, Ruggell, Schaanwald
		}
		rows, err := engine.Matrix(ctx, places, places)
		require.NoError(t, err)

		// As the crow flies at 60 km/h: no road of the valley beats that.
		model := ConstantSpeed(60, 1)
		var factors []float64
		for i := range places {
			require.Less(t, rows[i][i], time.Minute, "from a place to itself")
			for j := range places {
				if Distance(places[i], places[j]) < 2000 {
					continue
				}
				require.NotEqual(t, NoRoute, rows[i][j], "%s to %s", places[i], places[j])
				kmh := Distance(places[i], places[j]) / rows[i][j].Seconds() * 3.6
				require.Greater(t, kmh, 5.0, "%s to %s", places[i], places[j])
				require.Less(t, kmh, 100.0, "%s to %s", places[i], places[j])
				factors = append(factors, float64(rows[i][j])/float64(model.Time(places[i], places[j], UrbanRoad, 12)))
			}
		}
		slices.Sort(factors)
		at := func(share float64) float64 { return factors[int(share*float64(len(factors)-1))] }
		t.Logf("%d pairs over 2 km, road time over a straight line at 60 km/h: min %.2f, P10 %.2f, median %.2f, P90 %.2f, max %.2f",
			len(factors), at(0), at(0.1), at(0.5), at(0.9), at(1))
		require.Greater(t, len(factors), 100)
		require.Greater(t, at(0), 1.0)
		require.Less(t, at(1), 4.0)
	})

	t.Run("places off its map", func(t *testing.T) {
		vaduz, feldkirch := Point{47.141, 9.521}, Point{47.05, 9.9}
		rows, err := engine.Matrix(ctx, []Point{vaduz, feldkirch}, []Point{{47.10, 9.52}})
		require.NoError(t, err)
		require.NotEqual(t, NoRoute, rows[0][0])
		require.Equal(t, NoRoute, rows[1][0], "20 km from the nearest road it knows")

		_, err = engine.Matrix(ctx, []Point{{10, 10}}, []Point{vaduz})
		var failed *EngineError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, FailRefused, failed.Why)
	})

	t.Run("in a decision", func(t *testing.T) {
		routed, err := NewRouted(RoutedConfig{Engine: engine, Timeout: 5 * time.Second})
		require.NoError(t, err)
		var crews []Point
		for k := range 12 {
			crews = append(crews, Point{47.10 + 0.01*float64(k), 9.52})
		}
		car := Point{47.141, 9.521}
		begun := time.Now()
		legs, err := routed.Refine(ctx, crews, car, UrbanRoad, 12)
		first := time.Since(begun)
		require.NoError(t, err)
		bySource := map[string]int{}
		for _, leg := range legs {
			bySource[leg.Source.String()]++
		}
		require.Equal(t, map[string]int{"valhalla": 8, "straight_line (not_shortlisted)": 4}, bySource)

		begun = time.Now()
		again, err := routed.Refine(ctx, crews, car, UrbanRoad, 12)
		require.NoError(t, err)
		t.Logf("shortlist of 8 of 12: %s asked, %s kept", first, time.Since(begun))
		for k := range legs {
			require.Equal(t, legs[k].Time, again[k].Time)
			require.NotEqual(t, "valhalla", again[k].Source.String())
		}
	})
}

// startValhalla gives the address of a server that ends with the test, or skips
// the test with the reason and the mend.
func startValhalla(t *testing.T) string {
	cache, err := os.UserCacheDir()
	if err != nil {
		skipped.Because(t, "no real Valhalla was asked: no cache directory (%v); set HOME", err)
	}
	home := filepath.Join(cache, "rescued", strings.ReplaceAll(valhallaWheel, "==", "-")+"-"+runtime.GOOS+"-"+runtime.GOARCH)
	require.NoError(t, os.MkdirAll(home, 0o755))
	programs := filepath.Join(home, "wheel")
	if err := fetchValhalla(t, home, programs); err != nil {
		skipped.Because(t, "no real Valhalla was asked: %v; it needs python3 with pip 22 or newer, and a package index that has %s", err, valhallaWheel)
	}
	bin := func(name string) string { return filepath.Join(programs, "valhalla", "bin", name) }

	if out, err := exec.Command(bin("valhalla_service"), "--version").CombinedOutput(); err != nil {
		skipped.Because(t, "no real Valhalla was asked: its program does not run here (%v: %s); it needs glibc 2.28 or macOS", err, lastOf(out))
	}
	extract, err := os.ReadFile(liechtenstein)
	require.NoError(t, err)
	sum := sha256.Sum256(extract)
	tiles := filepath.Join(home, "tiles-"+hex.EncodeToString(sum[:6]))
	config := filepath.Join(t.TempDir(), "valhalla.json")
	address := freeAddress(t)
	writeConfig := func(dir string) {
		out, err := exec.Command("python3", filepath.Join(programs, "valhalla", "valhalla_build_config.py"),
			"--mjolnir-tile-dir", dir, "--mjolnir-tile-extract", "",
			"--httpd-service-listen", "tcp://"+address).Output()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(config, out, 0o600))
	}
	if _, err := os.Stat(tiles); err != nil {
		// Built aside and renamed, so that a run cut short leaves no half of it.
		aside, err := os.MkdirTemp(home, "building-")
		require.NoError(t, err)
		defer os.RemoveAll(aside)
		writeConfig(aside)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, bin("valhalla_build_tiles"), "-c", config, liechtenstein).CombinedOutput()
		require.NoError(t, err, "%s", lastOf(out))
		if err := os.Rename(aside, tiles); err != nil && !errors.Is(err, os.ErrExist) {
			require.DirExists(t, tiles, "another run may have been sooner: %v", err)
		}
	}
	writeConfig(tiles)
	return serve(t, exec.Command(bin("valhalla_service"), config, "1"), address)
}

// serve runs the server until the test ends and waits until it answers.
func serve(t *testing.T, server *exec.Cmd, address string) string {
	var said bytes.Buffer
	server.Stdout, server.Stderr = &said, &said
	require.NoError(t, server.Start())
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		_ = server.Process.Kill()
		<-ended
	})
	client := http.Client{Timeout: time.Second}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if answer, err := client.Get("http://" + address + "/status"); err == nil {
			_ = answer.Body.Close()
			return "http://" + address
		}
		select {
		case err := <-ended:
			ended <- err
			require.Fail(t, "valhalla_service ended", "%v: %s", err, lastOf(said.Bytes()))
		default:
		}
	}
	require.Fail(t, "valhalla_service did not answer in 30 s")
	return ""
}

// fetchValhalla has the wheel unpacked in a directory, from an earlier run or
// by pip.
func fetchValhalla(t *testing.T, home, into string) error {
	if _, err := os.Stat(into); err == nil {
		return nil
	}
	aside, err := os.MkdirTemp(home, "fetching-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(aside)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	pip := exec.CommandContext(ctx, "python3", "-m", "pip", "download", valhallaWheel, "--no-deps",
		"--only-binary", ":all:", "--python-version", "3.12", "--implementation", "cp", "--abi", "abi3",
		"--disable-pip-version-check", "--retries", "1", "--dest", aside)
	if out, err := pip.CombinedOutput(); err != nil {
		return errors.New("python3 -m pip download " + valhallaWheel + ": " + err.Error() + ": " + lastOf(out))
	}
	wheels, err := filepath.Glob(filepath.Join(aside, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return errors.New("pip left no wheel")
	}
	unpacked := filepath.Join(aside, "wheel")
	if err := unpack(wheels[0], unpacked); err != nil {
		return err
	}
	if err := os.Rename(unpacked, into); err != nil {
		if _, other := os.Stat(into); other != nil {
			return err
		}
	}
	return nil
}

func unpack(archive, into string) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer z.Close()
	for _, f := range z.File {
		if !filepath.IsLocal(f.Name) {
			return errors.New("the wheel holds " + f.Name)
		}
		if f.FileInfo().IsDir() {
			continue
		}
		path := filepath.Join(into, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		from, err := f.Open()
		if err != nil {
			return err
		}
		to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
		if err == nil {
			_, err = io.Copy(to, from)
			err = errors.Join(err, to.Close())
		}
		if err = errors.Join(err, from.Close()); err != nil {
			return err
		}
	}
	return nil
}

// freeAddress is a loopback address where nobody answers. It is asked by
// connecting: a listener closed again lives on in a program that was started
// while it was open.
func freeAddress(t *testing.T) string {
	for range 50 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(10_000)))
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return address
		}
		if err == nil {
			require.NoError(t, conn.Close())
		}
	}
	require.Fail(t, "no free port")
	return ""
}

// lastOf is the last line or so of a program's output.
func lastOf(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}
