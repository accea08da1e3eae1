package tests

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cases runs every file of testdata/cases. Each line is a step, in the form that step documents. A line that starts
// with '#' describes the next steps. "each $x in a b" at the top runs the file once for each value. "include name"
// first runs the file of that name in testdata/preludes.
func cases(t *testing.T, on *backend) {
	files, err := filepath.Glob("testdata/cases/*/*.case")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no cases: %v", err)
	}
	for number, file := range files {
		if !on.plays(number) {
			continue
		}
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(file), "testdata/cases/"), ".case")
		t.Run(name, func(t *testing.T) {
			on.parallel(t)
			playFile(t, on, file)
		})
	}
}

func playFile(t *testing.T, on *backend, file string) {
	lines := readLines(t, file)
	variable, values := "", []string{""}
	if each, found := strings.CutPrefix(lines[0].text, "each "); found {
		var list string
		variable, list, _ = strings.Cut(each, " in ")
		values, lines = strings.Fields(list), lines[1:]
	}
	for _, value := range values {
		name := value
		if name == "" {
			name = "once"
		}
		t.Run(name, func(t *testing.T) {
			s := newScene(t, on)
			for _, l := range lines {
				l.play(s, variable, value)
			}
		})
	}
}

// line is a line of a file with its position.
type line struct{ at, text string }

func (l line) play(s scene, variable, value string) {
	s.t.Helper()
	text := l.text
	if variable != "" {
		text = strings.ReplaceAll(text, variable, value)
	}
	if prelude, found := strings.CutPrefix(text, "include "); found {
		for _, included := range readLines(s.t, filepath.Join("testdata", "preludes", prelude+".case")) {
			included.play(s, variable, value)
		}
		return
	}
	s.t = located{s.t, l.at}
	s.play(text)
}

// readLines returns the lines of a file that are not empty.
func readLines(t testing.TB, file string) []line {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []line
	scanner := bufio.NewScanner(f)
	for number := 1; scanner.Scan(); number++ {
		if text := strings.TrimSpace(scanner.Text()); text != "" && !strings.HasPrefix(text, "#") {
			lines = append(lines, line{at: fmt.Sprintf("%s:%d", file, number), text: text})
		}
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	if len(lines) == 0 {
		t.Fatalf("%s says nothing", file)
	}
	return lines
}

// located adds the file and line to every failure.
type located struct {
	testing.TB
	at string
}

func (l located) Errorf(format string, args ...any) {
	l.Helper()
	l.TB.Errorf(l.at+": "+format, args...)
}

func (l located) Fatalf(format string, args ...any) {
	l.Helper()
	l.TB.Fatalf(l.at+": "+format, args...)
}

func (l located) Fatal(args ...any) {
	l.Helper()
	l.TB.Fatal(append([]any{l.at + ":"}, args...)...)
}
