package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// clusterConf tells Debian's package to install programs only.
const clusterConf = "/etc/postgresql-common/createcluster.conf"

var noMainCluster = regexp.MustCompile(`(?m)^\s*create_main_cluster\s*=\s*'?(false|off|no|0)\b`)

func installAPT(ctx context.Context, progress func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, wayTimeout)
	defer cancel()
	// The package would make and start a system cluster that nobody asked for.
	conf, err := os.ReadFile(clusterConf)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text := "# Written by rescued: it runs private clusters and wants no system one.\ncreate_main_cluster = false\n"
		if err := writeFile(clusterConf, strings.NewReader(text), 0o644); err != nil {
			return err
		}
	case err != nil:
		return err
	case !noMainCluster.Match(conf):
		return fmt.Errorf("it would start a system cluster: set create_main_cluster = false in %s or install postgresql yourself", clusterConf)
	}
	progress("installing Postgres with apt-get (once)")
	for _, args := range [][]string{
		{"update", "-q"},
		{"install", "-q", "-y", "--no-install-recommends", "postgresql"},
	} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "UCF_FORCE_CONFFOLD=1")
		cmd.WaitDelay = time.Second
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w: %s", args[0], err, lastLines(string(out), 2))
		}
	}
	return nil
}
