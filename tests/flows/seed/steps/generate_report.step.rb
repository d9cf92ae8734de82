# steps/generate_report.step.rb
require 'csv'
require 'json'

def config
  {
    type: 'event',
    name: 'GenerateReport',
    subscribes: ['analytics.generated'],
    emits: ['report.generated'],
    input: {
      totalOrders: 'number',
      weeklyOrders: 'number',
      topProducts: 'object'
    }
  }
end

def handler(analytics_data, context)
  logger = context[:logger]
  emit = context[:emit]
  state = context[:state]

  begin
    logger.info("Generating CSV report from analytics")

    # Generate CSV report
    csv_data = CSV.generate do |csv|
      csv << ['Metric', 'Value']
      csv << ['Total Orders', analytics_data['totalOrders']]
      csv << ['Weekly Orders', analytics_data['weeklyOrders']]
      csv << ['Average Order Value', analytics_data['averageOrderValue']]

      # Add top products
      analytics_data['topProducts'].each do |product, count|
        csv << ["Product #{product}", count]
      end
    end

    # Generate HTML report
    html_report = generate_html_template(analytics_data)

    report = {
      id: SecureRandom.uuid,
      csv_data: csv_data,
      html_report: html_report,
      generated_at: Time.now.iso8601
    }

    state.set('reports', report[:id], report)
    emit.call(topic: 'report.generated', data: report)

    logger.info("Report generated successfully", report_id: report[:id])

  rescue => error
    logger.error("Report generation failed", error: error.message)
    emit.call(topic: 'report.failed', data: { error: error.message })
  end
end

private

def generate_html_template(data)
  <<~HTML
    <html>
    <head><title>Analytics Report</title></head>
    <body>
      <h1>Weekly Analytics Report</h1>
      <p>Total Orders: #{data['totalOrders']}</p>
      <p>Weekly Orders: #{data['weeklyOrders']}</p>
      <p>Generated: #{Time.now.strftime('%Y-%m-%d %H:%M:%S')}</p>
    </body>
    </html>
  HTML
end
