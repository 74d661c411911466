{{- /* Amounts: 512Mi, 500m, 30s. What a template derives from them is computed in bytes, thousandths of a core and
     milliseconds, and written as callboard-operator writes it. */ -}}

{{- /* "1.5" as 1500 */ -}}
{{- define "callboard.decimal" -}}
{{- $parts := splitList "." . -}}
{{- $fraction := "000" -}}
{{- if gt (len $parts) 1 -}}
  {{- $fraction = printf "%s000" (last $parts) | trunc 3 -}}
{{- end -}}
{{- add (mul (atoi (first $parts)) 1000) (atoi $fraction) -}}
{{- end -}}

{{- /* list TEXT UNITS WHAT: the number times its unit, in thousandths. */ -}}
{{- define "callboard.scaled" -}}
{{- $text := index . 0 | toString -}}
{{- $units := index . 1 -}}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?" $text -}}
{{- $unit := trimPrefix $number $text -}}
{{- if or (eq $number "") (not (hasKey $units $unit)) -}}
  {{- fail (printf "%q is no %s" $text (index . 2)) -}}
{{- end -}}
{{- mul (include "callboard.decimal" $number | atoi) (get $units $unit) -}}
{{- end -}}

{{- define "callboard.bytes" -}}
{{- $units := dict "" 1 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 -}}
{{- div (include "callboard.scaled" (list . $units "amount of memory: write it like 512Mi or 4Gi") | atoi) 1000 -}}
{{- end -}}

{{- define "callboard.thousandths" -}}
{{- div (include "callboard.scaled" (list . (dict "" 1000 "m" 1) "amount of CPU: write it like 500m or 2") | atoi) 1000 -}}
{{- end -}}

{{- define "callboard.milliseconds" -}}
{{- if eq (toString .) "0" -}}
0
{{- else -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 -}}
{{- div (include "callboard.scaled" (list . $units "duration: write it like 500ms, 10s, 5m, 24h or 30d") | atoi) 1000 -}}
{{- end -}}
{{- end -}}

{{- /* Whole seconds, rounded up, of milliseconds. */ -}}
{{- define "callboard.seconds" -}}
{{- div (add (int64 .) 999) 1000 -}}
{{- end -}}

{{- /* list AMOUNT PERCENT */ -}}
{{- define "callboard.share" -}}
{{- $amount := index . 0 | int64 -}}
{{- $percent := index . 1 | int64 -}}
{{- add (mul (div $amount 100) $percent) (div (mul (mod $amount 100) $percent) 100) -}}
{{- end -}}

{{- /* 536870912 as 512Mi */ -}}
{{- define "callboard.memory" -}}
{{- $amount := int64 . -}}
{{- $unit := "" -}}
{{- range list "Ki" "Mi" "Gi" "Ti" -}}
  {{- if and (ne $amount 0) (eq (mod $amount 1024) 0) -}}
    {{- $amount = div $amount 1024 -}}
    {{- $unit = . -}}
  {{- end -}}
{{- end -}}
{{- $amount }}{{ $unit -}}
{{- end -}}

{{- /* 1500 as 1500m, 2000 as 2 */ -}}
{{- define "callboard.cpu" -}}
{{- $amount := int64 . -}}
{{- if eq (mod $amount 1000) 0 -}}
{{- div $amount 1000 -}}
{{- else -}}
{{- $amount }}m
{{- end -}}
{{- end -}}

{{- /* 60000 as 1m */ -}}
{{- define "callboard.duration" -}}
{{- $amount := int64 . -}}
{{- $text := "" -}}
{{- range list (list "d" 86400000) (list "h" 3600000) (list "m" 60000) (list "s" 1000) (list "ms" 1) -}}
  {{- if and (eq $text "") (eq (mod $amount (index . 1)) 0) -}}
    {{- $text = printf "%d%s" (div $amount (index . 1)) (index . 0) -}}
  {{- end -}}
{{- end -}}
{{- if eq $amount 0 }}0{{ else }}{{ $text }}{{ end -}}
{{- end -}}
