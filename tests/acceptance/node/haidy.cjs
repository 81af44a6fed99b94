// The functions of Haidy's page, as a customer copies them; only the address, the pauses and the output are ours.
// Arguments: address, token, a recording, the same as WebM. Prints one JSON object.

const axios = require("axios");
const FormData = require("form-data");
const fs = require("fs");

const [base, token, recording, webm] = process.argv.slice(2);

async function transcribeAudioFile(filePath, token, options = {}) {
  const url = `${base}/v2/audio/transcribe_file`;
  const formData = new FormData();
  formData.append("audio_files", fs.createReadStream(filePath));
  formData.append("language", options.language || "de-CH");
  if (options.glossary) {
    formData.append("glossary", JSON.stringify(options.glossary));
  }
  if (options.patientContextId) {
    formData.append("patient_context_id", options.patientContextId);
  }
  const response = await axios.post(url, formData, {
    headers: {
      ...formData.getHeaders(),
      Authorization: `Bearer ${token}`,
    },
  });
  return response.data;
}

async function transcribeAudioBase64(audioBase64, fileName, token, options = {}) {
  const url = `${base}/v2/audio/transcribe_base64`;
  const requestBody = {
    file_base64: audioBase64,
    file_name: fileName,
    language: options.language || "de-CH",
    glossary: options.glossary,
    additional_audio_base64: options.additionalAudio,
    patient_context_id: options.patientContextId,
  };
  const response = await axios.post(url, requestBody, {
    headers: {
      "Content-Type": "application/json",
      Authorization: `Bearer ${token}`,
    },
  });
  return response.data;
}

async function startLiveTranscription(audioChunk, token) {
  const url = `${base}/v2/audio/audio_chunk`;
  const requestBody = {
    audio_base64: audioChunk,
    sample_rate: 16000,
    file_format: "webm",
    task_id: "NEW",
    final: false,
    parameters: {
      template: "de-internal-medicine",
      language: "de-CH",
      glossary: ["medical-terms"],
    },
  };
  const response = await axios.post(url, requestBody, {
    headers: {
      "Content-Type": "application/json",
      Authorization: `Bearer ${token}`,
    },
  });
  return response.data.task_id;
}

async function sendAudioChunk(audioChunk, taskId, token, isFinal = false) {
  const url = `${base}/v2/audio/audio_chunk`;
  const requestBody = {
    audio_base64: audioChunk,
    sample_rate: 16000,
    file_format: "webm",
    task_id: taskId,
    final: isFinal,
    parameters: {
      template: "de-internal-medicine",
      language: "de-CH",
    },
  };
  const response = await axios.post(url, requestBody, {
    headers: {
      "Content-Type": "application/json",
      Authorization: `Bearer ${token}`,
    },
  });
  return response.data;
}

async function checkTaskStatus(taskId, token) {
  const url = `${base}/v2/tasks`;
  const response = await axios.post(
    url,
    { task_id: taskId },
    {
      headers: {
        "Content-Type": "application/json",
        Authorization: `Bearer ${token}`,
      },
    }
  );
  return response.data;
}

async function waitForTranscription(taskId, token, maxAttempts = 300) {
  for (let i = 0; i < maxAttempts; i++) {
    const result = await checkTaskStatus(taskId, token);
    if (result.status === "DONE") {
      return result.result;
    }
    if (result.status === "FAILED") {
      throw new Error("Transcription failed");
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("Transcription timed out");
}

async function refused(attempt) {
  try {
    await attempt;
  } catch (error) {
    return [error.response.status, error.response.data];
  }
  throw new Error("It was not refused");
}

async function main() {
  const glossary = ["medical-terms", "cardiology"];
  const file = await transcribeAudioFile(recording, token, { language: "de-CH", glossary, patientContextId: "patient-123" });

  const audioBase64 = fs.readFileSync(recording).toString("base64");
  const base64 = await transcribeAudioBase64(audioBase64, "recording.m4a", token, {
    language: "de-CH",
    glossary: ["medical-terms"],
  });
  const joined = await transcribeAudioBase64(audioBase64, "recording.m4a", token, { additionalAudio: [audioBase64] });

  const chunks = fs.readFileSync(webm);
  const half = Math.floor(chunks.length / 2);
  const live = await startLiveTranscription(chunks.subarray(0, half).toString("base64"), token);
  const going = await sendAudioChunk(chunks.subarray(half).toString("base64"), live, token, true);

  const results = {};
  for (const [name, taskId] of Object.entries({ file: file.task_id, base64: base64.task_id, joined: joined.task_id, live })) {
    results[name] = await waitForTranscription(taskId, token);
  }
  const errors = {
    gone: await refused(checkTaskStatus(file.task_id, token)),
    unknown: await refused(sendAudioChunk(audioBase64, "3jfck3qipv6l5g8", token)),
    unnamed: await refused(transcribeAudioBase64(audioBase64, undefined, token)),
    broken: await refused(transcribeAudioBase64("no base64!", "recording.m4a", token)),
    unauthorized: (await refused(transcribeAudioFile(recording, "wrong", {})))[0],
  };
  console.log(JSON.stringify({ queued: file, going, results, errors }));
}

main().catch((error) => {
  console.error(error.message, error.response?.data);
  process.exit(1);
});
