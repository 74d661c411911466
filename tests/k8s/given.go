// What a folder refers to and does not hold, since others make it: the Secrets that `callboard-operator secret` prints, and those of a list,
// a line each: "Secret NAME KEY…". A name that stands in neither is a finding.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	core "k8s.io/api/core/v1"
)

type given map[string]map[string]bool // "Secret/name" → its keys

func (g given) add(id string, keys ...string) {
	if g[id] == nil {
		g[id] = map[string]bool{}
	}
	for _, key := range keys {
		g[id][key] = true
	}
}

func (g given) addSecrets(file string, report *report) {
	for _, o := range readAll([]string{file}, report) {
		if secret, is := o.Object.(*core.Secret); is {
			g.add(o.id())
			for key := range secret.Data {
				g.add(o.id(), key)
			}
			for key := range secret.StringData {
				g.add(o.id(), key)
			}
		}
	}
}

func (g given) addList(file string) error {
	list, err := os.Open(file)
	if err != nil {
		return err
	}
	defer list.Close()
	lines := bufio.NewScanner(list)
	for number := 1; lines.Scan(); number++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		switch {
		case len(words) == 0:
		case len(words) < 3:
			return fmt.Errorf("%s:%d: KIND NAME KEY… expected", file, number)
		default:
			g.add(words[0]+"/"+words[1], words[2:]...)
		}
	}
	return lines.Err()
}
