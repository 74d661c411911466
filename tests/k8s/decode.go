// Files as typed objects. Strict: an unknown field, a field twice, a number where a text belongs, an amount that is none are findings.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	documents "k8s.io/apimachinery/pkg/util/yaml"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

type object struct {
	file, apiVersion, kind string
	meta.Object
}

func (o *object) id() string { return o.kind + "/" + o.GetName() }

// Of a folder its .yaml files in the order of their names; a file may hold several documents, or a List.
func readAll(places []string, report *report) []*object {
	var objects []*object
	for _, place := range places {
		files := []string{place}
		if info, err := os.Stat(place); err == nil && info.IsDir() {
			files, _ = filepath.Glob(filepath.Join(place, "*.yaml"))
			sort.Strings(files)
			if len(files) == 0 {
				report.add(place, "", "no .yaml file in it")
			}
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				report.add(file, "", "%v", err)
				continue
			}
			objects = append(objects, decodeText(file, text, report)...)
		}
	}
	return objects
}

func decodeText(file string, text []byte, report *report) []*object {
	var objects []*object
	reader := documents.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			report.add(file, "", "no YAML: %v", err)
			return objects
		}
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		if read := decodeDocument(file, document, report); read != nil {
			objects = append(objects, read)
		}
	}
}

func decodeDocument(file string, document []byte, report *report) *object {
	json, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		report.add(file, "", "%v", err)
		return nil
	}
	var kind meta.TypeMeta
	if err := kjson.UnmarshalCaseSensitivePreserveInts(json, &kind); err != nil {
		report.add(file, "", "%v", err)
		return nil
	}
	create := kinds[kind.APIVersion+" "+kind.Kind]
	if create == nil {
		report.add(file, "", "apiVersion %q has no kind %q that is known here", kind.APIVersion, kind.Kind)
		return nil
	}
	read := &object{file: file, apiVersion: kind.APIVersion, kind: kind.Kind, Object: create()}
	strict, err := kjson.UnmarshalStrict(json, read.Object)
	if err != nil {
		report.add(file, kind.Kind, "%v", err)
		return nil
	}
	for _, mistake := range strict {
		report.add(file, read.id(), "%v", mistake)
	}
	return read
}

// What was found: sorted, each once.
type report struct{ lines []string }

func (r *report) add(file, id, format string, arguments ...any) {
	where := file
	if id != "" {
		where += ": " + id
	}
	r.lines = append(r.lines, where+": "+fmt.Sprintf(format, arguments...))
}

func (r *report) about(o *object, format string, arguments ...any) {
	r.add(o.file, o.id(), format, arguments...)
}

func (r *report) sorted() []string {
	sort.Strings(r.lines)
	var lines []string
	for _, line := range r.lines {
		if len(lines) == 0 || lines[len(lines)-1] != line {
			lines = append(lines, strings.ReplaceAll(line, "\n", " "))
		}
	}
	return lines
}
