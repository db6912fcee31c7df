{{- define "fanfare.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "fanfare.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "fanfare.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "fanfare.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "fanfare.selector" -}}
app.kubernetes.io/name: {{ include "fanfare.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fanfare.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "fanfare.selector" . }}
{{- end }}

{{- define "fanfare.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "fanfare.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "fanfare.image" -}}
{{- $repository := required "set image.repository to where you pushed the image that deploy/Dockerfile builds" .Values.image.repository -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Whether the nodes share a Redis. */}}
{{- define "fanfare.clustered" -}}
{{- if or .Values.redis.url .Values.redis.existingSecret }}true{{ end }}
{{- end }}

{{/* What does not go together. */}}
{{- define "fanfare.check" -}}
{{- if and (gt (int .Values.replicas) 1) (not (include "fanfare.clustered" .)) }}
{{- fail "more than one replica needs redis.url or redis.existingSecret: nodes without a Redis are separate hubs" }}
{{- end }}
{{- if and .Values.persistence.enabled (include "fanfare.clustered" .) }}
{{- fail "persistence and redis exclude each other: with Redis, Redis keeps the history" }}
{{- end }}
{{- range $name, $value := .Values.settings }}
{{- if has $name (list "listen" "redis" "namespace" "data" "drain" "node_name") }}
{{- fail (printf "settings.%s is set by the chart itself" $name) }}
{{- end }}
{{- if has $name (list "publish_key" "subscribe_key" "jwt_secret") }}
{{- fail (printf "put %s under secrets, not under settings" $name) }}
{{- end }}
{{- if or (hasPrefix "tls_" $name) (hasPrefix "acme_" $name) }}
{{- fail (printf "settings.%s: the chart's probes and Service speak HTTP; end TLS in the Ingress" $name) }}
{{- end }}
{{- end }}
{{- end }}
