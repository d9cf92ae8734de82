# steps/generate_analytics.step.py
import pandas as pd
import numpy as np
from datetime import datetime, timedelta

config = {
    "type": "cron",
    "name": "GenerateAnalytics",
    "cron": "0 0 * * 1",  # Weekly on Monday
    "emits": ["analytics.generated"]
}

async def handler(context):
    logger = context["logger"]
    emit = context["emit"]
    state = context["state"]

    try:
        # Fetch all orders from state
        orders_data = await state.get_group("orders")

        if not orders_data:
            logger.info("No orders data available")
            return

        # Convert to pandas DataFrame for analysis
        df = pd.DataFrame(list(orders_data.values()))
        df['createdAt'] = pd.to_datetime(df['createdAt'])

        # Generate analytics
        last_week = datetime.now() - timedelta(days=7)
        recent_orders = df[df['createdAt'] >= last_week]

        analytics = {
            "totalOrders": len(df),
            "weeklyOrders": len(recent_orders),
            "averageOrderValue": float(df['amount'].mean()) if 'amount' in df else 0,
            "topProducts": df['productId'].value_counts().head(5).to_dict(),
            "generatedAt": datetime.now().isoformat()
        }

        await state.set("analytics", "weekly", analytics)
        await emit({"topic": "analytics.generated", "data": analytics})

        logger.info("Analytics generated successfully")

    except Exception as error:
        logger.error(f"Analytics generation failed: {str(error)}")
