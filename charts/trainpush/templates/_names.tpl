{{/* Names are fixed: a cluster has one operator, and helm refuses a second release that would make the same objects. */}}

{{- define "trainpush.selector" -}}
app.kubernetes.io/name: trainpush
app.kubernetes.io/component: operator
{{- end }}

{{- define "trainpush.labels" -}}
{{ include "trainpush.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "trainpush.image" -}}
{{- $missing := "image.repository is empty: build the Dockerfile of trainpush, push the image to your registry and name it here" -}}
{{ required $missing .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* What the operator reads from its environment; a change of it starts the pods anew. */}}
{{- define "trainpush.settings" -}}
TRAINPUSH_LOG_FORMAT: {{ .Values.logFormat }}
TRAINPUSH_LOG_LEVEL: {{ .Values.logLevel }}
TRAINPUSH_PROXY_IMAGE: {{ .Values.proxy.image | quote }}
{{- end }}
