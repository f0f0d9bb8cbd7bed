package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// A kernel is an unpacked kernel package.
type kernel struct {
	image   string // the file to boot
	modules string // the directory lib/modules/RELEASE
}

var seriesPattern = regexp.MustCompile(`^[0-9]+\.[0-9]+$`)

// findKernel returns the newest cached kernel of a series like 6.12, or fetches one.
func findKernel(ctx context.Context, series string) (kernel, error) {
	if !seriesPattern.MatchString(series) {
		return kernel{}, fmt.Errorf("vm: kernel %q: want a series like 6.12", series)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return kernel{}, fmt.Errorf("vm: %w", err)
	}
	cache := filepath.Join(base, "mptcplab", "kernel")
	entries, err := os.ReadDir(cache)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return kernel{}, fmt.Errorf("vm: %w", err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	for _, name := range newest(names, series) {
		if k, err := openKernel(filepath.Join(cache, name)); err == nil {
			return k, nil
		}
	}
	return fetchKernel(ctx, cache, series)
}

// newest returns those of the package names that are cloud kernels of the series, the
// newest first, at the same version the signed one before the unsigned.
func newest(names []string, series string) []string {
	pattern := regexp.MustCompile(`^linux-image-` + regexp.QuoteMeta(series) + `\.[0-9].*-cloud-amd64(-unsigned)?$`)
	var found []string
	for _, n := range names {
		if pattern.MatchString(n) {
			found = append(found, n)
		}
	}
	sort.SliceStable(found, func(i, j int) bool {
		if c := compareNumbers(found[i], found[j]); c != 0 {
			return c > 0
		}
		return len(found[i]) < len(found[j])
	})
	return found
}

var numbers = regexp.MustCompile(`[0-9]+`)

// compareNumbers compares names by the numbers in them, in turn: the names of kernel
// packages differ in nothing else.
func compareNumbers(a, b string) int {
	x, y := numbers.FindAllString(a, -1), numbers.FindAllString(b, -1)
	for i := range min(len(x), len(y)) {
		m, _ := strconv.ParseUint(x[i], 10, 64) // digits only; too many of them are all the same to us
		n, _ := strconv.ParseUint(y[i], 10, 64)
		if m != n {
			if m < n {
				return -1
			}
			return 1
		}
	}
	return len(x) - len(y)
}

// fetchKernel downloads the newest kernel package of the series with apt, which
// needs no privileges for that, and unpacks it into the cache.
func fetchKernel(ctx context.Context, cache, series string) (kernel, error) {
	for _, tool := range []string{"apt-cache", "apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return kernel{}, fmt.Errorf("%w: the kernel package linux-image-%s.*-cloud-amd64 of Debian, to be fetched with %s (unpack one into %s/NAME by hand elsewhere)",
				ErrMissing, series, tool, cache)
		}
	}
	out, err := command(ctx, "", "apt-cache", "search", "--names-only", `^linux-image-`+regexp.QuoteMeta(series)+`\..*-cloud-amd64`)
	if err != nil {
		return kernel{}, err
	}
	var names []string
	for line := range strings.Lines(out) {
		name, _, _ := strings.Cut(line, " ")
		names = append(names, strings.TrimSpace(name))
	}
	candidates := newest(names, series)
	if len(candidates) == 0 {
		return kernel{}, fmt.Errorf("%w: apt knows no linux-image-%s.*-cloud-amd64 (apt-get update; Debian's security or backports archive has it)", ErrMissing, series)
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return kernel{}, fmt.Errorf("vm: %w", err)
	}
	var failed error
	for _, name := range candidates[:min(3, len(candidates))] { // the newest may be gone from the mirror
		k, err := unpackKernel(ctx, cache, name)
		if err == nil {
			return k, nil
		}
		if ctx.Err() != nil {
			return kernel{}, ctx.Err()
		}
		failed = errors.Join(failed, err)
	}
	return kernel{}, fmt.Errorf("%w: kernel package %s: %w", ErrMissing, candidates[0], failed)
}

// unpackKernel downloads one package and puts what is needed of it into the cache,
// by a rename, so that there is never half a kernel.
func unpackKernel(ctx context.Context, cache, name string) (kernel, error) {
	tmp, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return kernel{}, err
	}
	defer os.RemoveAll(tmp)
	if _, err := command(ctx, tmp, "apt-get", "-q", "download", name); err != nil {
		return kernel{}, err
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil || len(debs) != 1 {
		return kernel{}, fmt.Errorf("apt-get download %s left %d packages", name, len(debs))
	}
	tree := filepath.Join(tmp, "tree")
	if _, err := command(ctx, tmp, "dpkg-deb", "-x", debs[0], tree); err != nil {
		return kernel{}, err
	}
	if err := os.Rename(tree, filepath.Join(cache, name)); err != nil && !errors.Is(err, os.ErrExist) {
		return kernel{}, err
	}
	return openKernel(filepath.Join(cache, name))
}

// openKernel finds the image and the modules in an unpacked package.
func openKernel(dir string) (kernel, error) {
	images, _ := filepath.Glob(filepath.Join(dir, "boot", "vmlinuz-*")) // the pattern is well-formed
	if len(images) != 1 {
		return kernel{}, fmt.Errorf("vm: %d kernel images in %s", len(images), dir)
	}
	release := strings.TrimPrefix(filepath.Base(images[0]), "vmlinuz-")
	for _, lib := range []string{"lib", "usr/lib"} {
		modules := filepath.Join(dir, lib, "modules", release)
		if st, err := os.Stat(modules); err == nil && st.IsDir() {
			return kernel{images[0], modules}, nil
		}
	}
	return kernel{}, fmt.Errorf("vm: no modules of %s in %s", release, dir)
}

// command runs a program and returns its output, or an error with what it complained
// about.
func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var out, complaint strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(complaint.String()))
	}
	return out.String(), nil
}
