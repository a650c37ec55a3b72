#!/bin/sh
# `llm`, a chat program for the terminal that keeps its own log, with Mneme as one of its models.
export LLM_USER_PATH="$FOLDER"
cat > "$FOLDER/extra-openai-models.yaml" <<MODEL
- {model_id: mneme, model_name: mneme, api_base: "$MNEME_URL/v1", api_key_name: mneme}
MODEL
exec "$BIN/llm" -m mneme --key "$MNEME_KEY" "$1"
