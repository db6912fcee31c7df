"""Server-sent events as most guides for FastAPI show them: one queue for each subscriber."""

import asyncio

from fastapi import APIRouter, FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

router = APIRouter(prefix="/sse")
subscribers = set()


class Message(BaseModel):
    message: str


@router.get("/events")
async def events():
    queue = asyncio.Queue()
    subscribers.add(queue)

    async def stream():
        try:
            while True:
                yield f"data: {await queue.get()}\n\n"
        finally:
            subscribers.discard(queue)

    return StreamingResponse(stream(), media_type="text/event-stream")


@router.post("/send")
async def send(message: Message):
    for queue in list(subscribers):
        await queue.put(message.message)
    return {"status": "message sent"}


app = FastAPI()
app.include_router(router)
