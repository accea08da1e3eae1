package tests

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// cases runs every file of testdata/cases. Each line of a file is a step (see the type step). A line that starts
// with '#' describes the next steps. "each $x in a b" at the top runs the file once for each value. "include name"
// first runs the file with this name in testdata/preludes.
func cases(t *testing.T, on *backend) {
	files, err := filepath.Glob("testdata/cases/*/*.case")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no cases: %v", err)
	}
	if on.isBrief() {
		files = covering(t, files)
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(file), "testdata/cases/"), ".case")
		t.Run(name, func(t *testing.T) {
			on.parallel(t)
			playFile(t, on, file)
		})
	}
}

// covering returns the files that a brief backend runs (see backend.isBrief). Together, they perform each operation
// of all files. covering repeatedly chooses the file that has the most operations which the chosen files lack.
func covering(t *testing.T, files []string) (chosen []string) {
	t.Helper()
	left := make(map[string][]string) // by file, its operations that the chosen files lack
	for _, file := range files {
		left[file] = operationsOf(t, file)
	}
	byOperations := func(a, b string) int { return len(left[a]) - len(left[b]) }
	for {
		next := slices.MaxFunc(files, byOperations)
		added := left[next]
		if len(added) == 0 {
			return chosen
		}
		chosen = append(chosen, next)
		for file, operations := range left {
			left[file] = slices.DeleteFunc(slices.Clone(operations), func(o string) bool { return slices.Contains(added, o) })
		}
	}
}

// operationsOf returns the operations of the requests in a file, without duplicates.
func operationsOf(t *testing.T, file string) (operations []string) {
	t.Helper()
	lines, variable, values := readCase(t, file)
	for _, value := range values {
		for _, l := range lines {
			if operation := l.operation(variable, value); operation != "" {
				operations = append(operations, operation)
			}
		}
	}
	slices.Sort(operations)
	return slices.Compact(operations)
}

// readCase returns the lines of a file, its variable, and the values for which the file runs. If the file has no
// variable, the only value is "".
func readCase(t testing.TB, file string) (lines []line, variable string, values []string) {
	t.Helper()
	lines = readLines(t, file)
	each, found := strings.CutPrefix(lines[0].text, "each ")
	if !found {
		return lines, "", []string{""}
	}
	variable, list, _ := strings.Cut(each, " in ")
	return lines[1:], variable, strings.Fields(list)
}

func playFile(t *testing.T, on *backend, file string) {
	lines, variable, values := readCase(t, file)
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

// line is a line of a file. at is the name of the file and the number of the line.
type line struct{ at, text string }

// with returns the text of the line, in which a value replaces the variable.
func (l line) with(variable, value string) string {
	if variable == "" {
		return l.text
	}
	return strings.ReplaceAll(l.text, variable, value)
}

// operation returns the method and the path of a request, in which '*' replaces each id. If the line is no request,
// it returns "".
func (l line) operation(variable, value string) string {
	next, err := parseStep(l.with(variable, value))
	request, isRequest := next.(requestStep)
	if err != nil || !isRequest {
		return ""
	}
	path, _, _ := strings.Cut(request.path, "?")
	segments := strings.Split(path, "/")
	for i := 1; i < len(segments); i += 2 {
		segments[i] = "*"
	}
	return request.method + " " + strings.Join(segments, "/")
}

func (l line) play(s scene, variable, value string) {
	s.t.Helper()
	text := l.with(variable, value)
	if prelude, found := strings.CutPrefix(text, "include "); found {
		for _, included := range readLines(s.t, filepath.Join("testdata", "preludes", prelude+".case")) {
			included.play(s, variable, value)
		}
		return
	}
	s.t = located{s.t, l.at}
	s.play(text)
}

// readLines returns the lines of a file, without empty lines.
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
		t.Fatalf("%s has no lines", file)
	}
	return lines
}

// located adds a position, the file and line of a step, to every failure of the test.
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
