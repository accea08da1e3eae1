// Command sample prints comments, error messages, API descriptions and paragraphs of documentation, chosen at
// random with a fixed seed. A reader who knows Go and SpiceDB but not this project marks each that needs a second
// reading. The share of marks says how plain the text is, and the marks show what to rewrite.
//
//	go run ./scripts/sample            # the sample of seed 1
//	go run ./scripts/sample -seed 2    # another one
package main

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// text is one piece to read, and where it is.
type text struct{ where, says string }

func main() {
	seed := flag.Uint64("seed", 1, "the seed of the choice")
	comments := flag.Int("comments", 150, "how many comments")
	errors := flag.Int("errors", 50, "how many error messages")
	descriptions := flag.Int("descriptions", 50, "how many descriptions of the API")
	paragraphs := flag.Int("paragraphs", 30, "how many paragraphs of documentation")
	flag.Parse()

	foundComments, foundErrors := inGo(list("*.go"))
	choice := rand.New(rand.NewPCG(*seed, 0)) //nolint:gosec // a sample needs no secrecy
	number := 0
	for _, kind := range []struct {
		title string
		found []text
		n     int
	}{
		{"Comments", foundComments, *comments},
		{"Error messages", foundErrors, *errors},
		{"Descriptions of the API", inContract("api/openapi.yaml"), *descriptions},
		{"Paragraphs of documentation", inMarkdown(list("*.md")), *paragraphs},
	} {
		choice.Shuffle(len(kind.found), func(i, j int) {
			kind.found[i], kind.found[j] = kind.found[j], kind.found[i]
		})
		chosen := kind.found[:min(kind.n, len(kind.found))]
		slices.SortFunc(chosen, func(a, b text) int { return cmp.Compare(a.where, b.where) })
		fmt.Printf("# %s: %d of %d\n\n", kind.title, len(chosen), len(kind.found))
		for _, t := range chosen {
			number++
			fmt.Printf("%d. %s\n%s\n\n", number, t.where, t.says)
		}
	}
}

// list returns the files of the repository that match, without generated ones.
func list(pattern string) []string {
	output, err := exec.Command("git", "ls-files", "--", pattern).Output() //nolint:gosec,noctx // two fixed patterns
	if err != nil {
		log.Fatalf("git ls-files: %v", err)
	}
	return slices.DeleteFunc(strings.Fields(string(output)), func(file string) bool {
		return strings.HasSuffix(file, ".gen.go") || strings.HasPrefix(file, "schema/tests/")
	})
}

// inGo returns the comments and the error messages of Go files.
func inGo(files []string) (comments, errors []text) {
	set := token.NewFileSet()
	for _, name := range files {
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			log.Fatal(err)
		}
		where := func(pos token.Pos) string {
			at := set.Position(pos)
			return fmt.Sprintf("%s:%05d", name, at.Line)
		}
		for _, group := range file.Comments {
			if says := strings.TrimSpace(group.Text()); len(strings.Fields(says)) >= 4 {
				comments = append(comments, text{where(group.Pos()), says})
			}
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		ast.Inspect(file, func(node ast.Node) bool {
			call, isCall := node.(*ast.CallExpr)
			if !isCall {
				return true
			}
			selector, isSelector := call.Fun.(*ast.SelectorExpr)
			if !isSelector || !slices.Contains([]string{"Errorf", "New"}, selector.Sel.Name) {
				return true
			}
			for _, argument := range call.Args {
				literal, isLiteral := argument.(*ast.BasicLit)
				if !isLiteral || literal.Kind != token.STRING {
					continue
				}
				if says, err := strconv.Unquote(literal.Value); err == nil && strings.Contains(says, " ") {
					errors = append(errors, text{where(literal.Pos()), says})
				}
			}
			return true
		})
	}
	return comments, errors
}

// inContract returns the summaries and descriptions of the contract.
func inContract(file string) []text {
	content, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		log.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(content, &root); err != nil {
		log.Fatal(err)
	}
	var found []text
	var walk func(node *yaml.Node)
	walk = func(node *yaml.Node) {
		if node.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(node.Content); i += 2 {
				key, value := node.Content[i], node.Content[i+1]
				if (key.Value == "description" || key.Value == "summary") && value.Kind == yaml.ScalarNode {
					found = append(found, text{fmt.Sprintf("%s:%05d", file, value.Line), strings.TrimSpace(value.Value)})
				}
			}
		}
		for _, child := range node.Content {
			walk(child)
		}
	}
	walk(&root)
	return found
}

// inMarkdown returns the paragraphs and list items of Markdown files, without code, tables and headings.
func inMarkdown(files []string) []text {
	var found []text
	for _, name := range files {
		content, err := os.ReadFile(filepath.Clean(name))
		if err != nil {
			log.Fatal(err)
		}
		var lines []string
		begin, isCode := 0, false
		finish := func() {
			says := strings.TrimSpace(strings.Join(lines, "\n"))
			if len(strings.Fields(says)) >= 6 {
				found = append(found, text{fmt.Sprintf("%s:%05d", name, begin), says})
			}
			lines = nil
		}
		for i, line := range strings.Split(string(content), "\n") {
			trimmed := strings.TrimSpace(line)
			switch {
			case strings.HasPrefix(trimmed, "```"):
				finish()
				isCode = !isCode
			case isCode:
			case trimmed == "", strings.HasPrefix(trimmed, "#"), strings.HasPrefix(trimmed, "|"):
				finish()
			default:
				if strings.HasPrefix(trimmed, "- ") || strings.HasPrefix(trimmed, "* ") {
					finish()
				}
				if len(lines) == 0 {
					begin = i + 1
				}
				lines = append(lines, line)
			}
		}
		finish()
	}
	return found
}
