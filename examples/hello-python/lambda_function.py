"""The smallest function: greets whom the event names."""


def lambda_handler(event, context):
    name = event.get("name", "world") if isinstance(event, dict) else "world"
    return {"message": f"hello {name}", "request_id": context.aws_request_id}
